//! Pure: whether a gateway host is this cluster's to change, and what this cluster loses by a change.

use std::net::Ipv4Addr;

use extconn_api::external_service::ExternalService;
use kube::ResourceExt;

use super::host_files::ServedCluster;
use crate::cluster::gateway_hosts::GatewayHost;
use crate::failure::Failure;

/// Refuses a host that is the gateway of another cluster. A cluster is the same one if it is
/// reached at the same address or known by one of the same certificates.
///
/// # Errors
/// Names the host and the cluster that it serves.
pub(crate) fn refuse_another_cluster(
    destination: &str,
    serves: Option<&ServedCluster>,
    wanted: &ServedCluster,
) -> Result<(), Failure> {
    match serves {
        Some(serves)
            if serves.server != wanted.server && !serves.shares_a_certificate(wanted) =>
        {
            Err(Failure::failed(format!(
                "{destination} is the gateway of another cluster, {}",
                serves.server
            ))
            .next(
                "choose another host, remove that gateway (`kubectl extconn uninstall --gateway` with that cluster's context), or take it over with --take-over",
            ))
        }
        _ => Ok(()),
    }
}

/// Refuses a name under which another host is known: its note would be lost, and with it the way
/// to remove it.
///
/// # Errors
/// Names both.
pub(crate) fn refuse_another_hosts_name(
    known: Option<&GatewayHost>,
    wanted: &GatewayHost,
) -> Result<(), Failure> {
    let is_another =
        |known: &&GatewayHost| known.ssh != wanted.ssh && known.ssh_endpoint != wanted.ssh_endpoint;
    match known.filter(is_another) {
        Some(known) => Err(Failure::failed(format!(
            "{} calls itself {}, as gateway host {} does, which is set up already",
            wanted.ssh, wanted.name, known.ssh
        ))
        .next("give it another name in the cluster with --gateway-name; if it is the same host, remove it first with `kubectl extconn uninstall --gateway`")),
        None => Ok(()),
    }
}

/// Source IPs that the host is to lose though ExternalServices use them: a sentence for each.
pub(crate) fn losses(
    before: Option<&GatewayHost>,
    wanted: &GatewayHost,
    external_services: &[ExternalService],
) -> Vec<String> {
    let lost = |ip: &&Ipv4Addr| !wanted.source_ips.contains(ip);
    let lost = before.iter().flat_map(|host| &host.source_ips).filter(lost);
    lost.filter_map(|ip| {
        let uses = |es: &&ExternalService| {
            let mut sources = es.spec.sources.iter();
            sources.any(|source| source.source_ip == ip.to_string())
        };
        let users: Vec<String> = external_services
            .iter()
            .filter(uses)
            .map(|es| format!("{}/{}", es.namespace().unwrap_or_default(), es.name_any()))
            .collect();
        (!users.is_empty()).then(|| {
            format!(
                "{} will no longer offer {ip}, which ExternalService {} uses",
                wanted.name,
                users.join(", ")
            )
        })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_cluster_with_another_address_and_other_certificates_is_another() {
        let ours = ServedCluster::new("https://192.0.2.1:6443", "A");
        let check = |serves: Option<&ServedCluster>| {
            refuse_another_cluster("root@gw1", serves, &ours)
                .err()
                .map(|failure| failure.message().to_owned())
        };
        assert_eq!(check(None), None);
        assert_eq!(
            check(Some(&ServedCluster::new("https://192.0.2.2:6443", "A"))),
            None
        );
        assert_eq!(
            check(Some(&ServedCluster::new("https://192.0.2.1:6443", "B"))),
            None
        );
        let refusal = check(Some(&ServedCluster::new("https://192.0.2.2:6443", "B"))).unwrap();
        assert!(refusal.contains("root@gw1") && refusal.contains("192.0.2.2"));
    }

    #[test]
    fn two_hosts_cannot_have_one_name() {
        let host = |ssh: &str, endpoint: &str| GatewayHost {
            name: "debian".into(),
            ssh: ssh.into(),
            ssh_endpoint: endpoint.into(),
            source_ips: Vec::new(),
        };
        let known = host("root@gw1", "192.0.2.1:2022");
        let check = |wanted: GatewayHost| refuse_another_hosts_name(Some(&known), &wanted);
        assert_eq!(check(host("clerk@gw1", "192.0.2.1:2022")), Ok(()));
        assert_eq!(check(host("root@gw1", "192.0.2.1:2023")), Ok(()));
        let refusal = check(host("root@gw2", "192.0.2.2:2022")).unwrap_err();
        assert!(refusal.next_step().unwrap().contains("--gateway-name"));
        assert_eq!(refuse_another_hosts_name(None, &known), Ok(()));
    }

    #[test]
    fn a_source_ip_that_goes_is_a_loss_only_to_those_who_use_it() {
        let host = |ips: &[&str]| GatewayHost {
            name: "gw1".into(),
            ssh: "root@gw1".into(),
            ssh_endpoint: "192.0.2.1:2022".into(),
            source_ips: ips.iter().map(|ip| ip.parse().unwrap()).collect(),
        };
        let es: ExternalService = serde_json::from_value(json!({
            "apiVersion": "submariner.io/v1alpha1", "kind": "ExternalService",
            "metadata": {"name": "db", "namespace": "ns1"},
            "spec": {"targetIP": "203.0.113.7", "ports": [{"port": 1}],
                     "sources": [{"service": {"name": "web"}, "sourceIP": "192.0.2.11"}]},
        }))
        .unwrap();
        let before = host(&["192.0.2.10", "192.0.2.11"]);
        let all = [es];
        assert_eq!(losses(None, &before, &all), [""; 0]);
        assert_eq!(losses(Some(&before), &host(&["192.0.2.11"]), &all), [""; 0]);
        assert_eq!(
            losses(Some(&before), &host(&["192.0.2.10"]), &all),
            ["gw1 will no longer offer 192.0.2.11, which ExternalService ns1/db uses"]
        );
    }
}
