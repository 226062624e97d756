//! Pure: check `tunnels-up`.

use extconn_api::forwarder::TunnelState;
use kube::ResourceExt;

use crate::check::{Check, Verdict, When};

pub(crate) const CHECK: Check = Check {
    name: "tunnels-up",
    group: "forwarders",
    when: When::After,
    why: "Every byte goes through a tunnel from a forwarder to a gateway.",
    hint: "open TCP from the nodes to the gateway's ssh endpoint, and see `kubectl extconn logs forwarder`",
    run: |seen| {
        let Some(forwarders) = &seen.forwarders else {
            return Verdict::Skipped("you may not list Forwarders".to_owned());
        };
        let (mut up, mut cut_off, mut partly) = (0, Vec::new(), Vec::new());
        for forwarder in forwarders {
            let replicas = forwarder
                .status
                .as_ref()
                .map_or(&[][..], |status| &status.replicas);
            for gateway in &forwarder.spec.gateways {
                let tunnels = replicas.iter().flat_map(|replica| &replica.tunnels);
                let tunnels: Vec<_> = tunnels
                    .filter(|tunnel| tunnel.source_ip == gateway.source_ip)
                    .collect();
                let up_here = tunnels
                    .iter()
                    .filter(|tunnel| tunnel.state == TunnelState::Up)
                    .count();
                up += up_here;
                let down = tunnels
                    .iter()
                    .find(|tunnel| tunnel.state != TunnelState::Up);
                let why = down
                    .and_then(|tunnel| tunnel.message.clone())
                    .map(|why| format!(": {why}"))
                    .unwrap_or_default();
                let text = format!(
                    "{} to {} at {}{why}",
                    forwarder.name_any(),
                    gateway.source_ip,
                    gateway.ssh_endpoint
                );
                match (up_here, down) {
                    (0, _) => cut_off.push(text),
                    (_, Some(_)) => partly.push(text),
                    (_, None) => {}
                }
            }
        }
        match (forwarders.len(), cut_off.as_slice(), partly.as_slice()) {
            (0, ..) => Verdict::Skipped("there is no ExternalService to forward for".to_owned()),
            (_, [], []) => Verdict::Passed(format!("{up} tunnels are up")),
            (_, [], partly) => Verdict::Warning(format!(
                "not all replicas have a tunnel: {}",
                partly.join("; ")
            )),
            (_, cut_off, _) => {
                Verdict::Failed(format!("no replica has a tunnel: {}", cut_off.join("; ")))
            }
        }
    },
};
