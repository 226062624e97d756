//! Pure: check `gateway-hosts-known`.

use crate::check::{Check, Verdict, When};

pub(crate) const CHECK: Check = Check {
    name: "gateway-hosts-known",
    group: "gateways",
    when: When::After,
    why: "`expose` offers the source IPs of gateway hosts that `init` has set up, and `uninstall` finds them.",
    hint: "add a gateway host with `kubectl extconn init --gateway USER@HOST`",
    run: |seen| {
        let reporting = seen
            .gateways
            .iter()
            .flatten()
            .filter_map(|gateway| gateway.status.as_ref()?.host_name.clone());
        // Who may not list Gateways may hardly read where their hosts are.
        if seen.gateway_hosts.is_empty() && seen.gateways.is_none() {
            return Verdict::Skipped("you may not list gateway hosts".to_owned());
        }
        match (seen.gateway_hosts.as_slice(), reporting.count()) {
            ([], 0) => Verdict::Warning("no gateway host is known".to_owned()),
            ([], _) => {
                Verdict::Warning("gateways report that were not set up by `init`".to_owned())
            }
            (hosts, _) => {
                let names: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
                Verdict::Passed(format!("gateway hosts: {}", names.join(", ")))
            }
        }
    },
};
