//! Pure: what the user is offered to choose from.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use extconn_api::NamespacedName;
use k8s_openapi::api::core::v1::Service;

use super::surroundings::Surroundings;

/// Namespaces whose Services nobody means.
const SYSTEM_NAMESPACES: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];

/// A Service that can be a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServiceOffer {
    /// Its name.
    pub key: NamespacedName,
    /// `namespace/name  80,443`.
    pub text: String,
}

/// Services that can be a source of an ExternalService in `own_namespace` and are not among
/// `taken`: own namespace first, then by name.
pub(crate) fn services(
    seen: &Surroundings,
    own_namespace: &str,
    taken: &[NamespacedName],
) -> Vec<ServiceOffer> {
    let mut offers: Vec<ServiceOffer> = seen
        .services
        .iter()
        .filter_map(|service| offer(seen, service))
        .collect();
    offers.retain(|offer| {
        !taken.contains(&offer.key) && seen.may_list(&offer.key, own_namespace).is_ok()
    });
    offers.sort_by_key(|offer| (offer.key.namespace != own_namespace, offer.key.clone()));
    offers
}

fn offer(seen: &Surroundings, service: &Service) -> Option<ServiceOffer> {
    let key = NamespacedName {
        namespace: service.metadata.namespace.clone()?,
        name: service.metadata.name.clone()?,
    };
    let spec = service.spec.as_ref()?;
    let external_name = spec.type_.as_deref() == Some("ExternalName");
    let the_api_server = key.namespace == "default" && key.name == "kubernetes";
    let not_meant = SYSTEM_NAMESPACES.contains(&key.namespace.as_str())
        || key.namespace == seen.connector_namespace;
    if external_name || the_api_server || not_meant {
        return None;
    }
    let ports = spec
        .ports
        .iter()
        .flatten()
        .map(|port| port.port.to_string());
    let ports = ports.collect::<Vec<_>>().join(",");
    Some(ServiceOffer {
        text: format!("{key}  {ports}").trim_end().to_owned(),
        key,
    })
}

/// A source IP that some gateway holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceIpOffer {
    /// The address.
    pub ip: Ipv4Addr,
    /// The address, its gateway host, and who uses it already.
    pub text: String,
}

/// Source IPs that gateways hold and that are not among `taken`: free ones first.
pub(crate) fn source_ips(seen: &Surroundings, taken: &[Ipv4Addr]) -> Vec<SourceIpOffer> {
    let from_hosts = seen
        .gateway_hosts
        .iter()
        .flat_map(|host| host.source_ips.iter().map(|ip| (*ip, host.name.clone())));
    let from_gateways = seen.gateways.iter().filter_map(|gateway| {
        let host = gateway.status.as_ref()?.host_name.clone()?;
        Some((gateway.spec.source_ip.parse().ok()?, host))
    });
    let mut known = BTreeSet::new();
    let mut offers: Vec<(Option<String>, Ipv4Addr, String)> = Vec::new();
    for (ip, host) in from_hosts.chain(from_gateways) {
        if !taken.contains(&ip) && known.insert(ip) {
            offers.push((user_of(seen, ip), ip, host));
        }
    }
    offers.sort_by_key(|(user, ip, _)| (user.is_some(), *ip));
    let text = |user: Option<String>, ip, host| match user {
        Some(user) => format!("{ip}  {host}, used by {user}"),
        None => format!("{ip}  {host}"),
    };
    offers
        .into_iter()
        .map(|(user, ip, host)| SourceIpOffer {
            ip,
            text: text(user, ip, host),
        })
        .collect()
}

/// The first ExternalService that uses this source IP.
fn user_of(seen: &Surroundings, ip: Ipv4Addr) -> Option<String> {
    let ip = ip.to_string();
    let user = seen
        .external_services
        .iter()
        .find(|es| es.spec.sources.iter().any(|source| source.source_ip == ip))?;
    Some(format!(
        "{}/{}",
        user.metadata.namespace.as_deref().unwrap_or_default(),
        user.metadata.name.as_deref().unwrap_or_default()
    ))
}

/// A name for the ExternalService of this target that no other has.
pub(crate) fn free_name(seen: &Surroundings, target: Ipv4Addr) -> String {
    let [a, b, c, d] = target.octets();
    let base = format!("server-{a}-{b}-{c}-{d}");
    let taken = |name: &str| {
        seen.external_services
            .iter()
            .any(|es| es.metadata.name.as_deref() == Some(name))
    };
    let numbered = (2..).map(|n| format!("{base}-{n}"));
    std::iter::once(base.clone())
        .chain(numbered)
        .find(|name| !taken(name))
        .expect("there are more numbers than objects")
}

#[cfg(test)]
mod tests {
    use extconn_api::permission::{self, Namespaces};

    use super::*;
    use crate::expose::fixtures;

    #[test]
    fn services_of_the_own_namespace_come_first_and_system_services_not_at_all() {
        let mut seen = fixtures::surroundings();
        seen.trusted = Some(Namespaces::parse("ns2"));
        assert_eq!(
            texts(&seen, "ns2"),
            ["ns2/api  443", "ns2/headless  80", "ns1/web  80"]
        );
    }

    #[test]
    fn services_of_others_are_offered_to_whom_they_consent_and_to_administrators() {
        let mut seen = fixtures::surroundings();
        assert_eq!(texts(&seen, "ns2"), ["ns2/api  443", "ns2/headless  80"]);
        assert_eq!(texts(&seen, "external-services").len(), 3);
        let consent = [(permission::EXPOSED_TO.to_owned(), "ns2".to_owned())];
        seen.services[2].metadata.annotations = Some(consent.into());
        assert_eq!(texts(&seen, "ns2").len(), 3);
    }

    fn texts(seen: &Surroundings, namespace: &str) -> Vec<String> {
        let offers = services(seen, namespace, &[]).into_iter();
        offers.map(|offer| offer.text).collect()
    }

    #[test]
    fn free_source_ips_come_before_used_ones() {
        let seen = fixtures::surroundings();
        let texts: Vec<String> = source_ips(&seen, &[])
            .into_iter()
            .map(|offer| offer.text)
            .collect();
        assert_eq!(
            texts,
            ["192.0.2.11  gw1", "192.0.2.10  gw1, used by ns1/db"]
        );
        assert_eq!(source_ips(&seen, &[Ipv4Addr::new(192, 0, 2, 11)]).len(), 1);
    }

    #[test]
    fn a_name_is_offered_that_is_free() {
        let mut seen = fixtures::surroundings();
        let target = Ipv4Addr::new(203, 0, 113, 7);
        assert_eq!(free_name(&seen, target), "server-203-0-113-7");
        seen.external_services[0].metadata.name = Some("server-203-0-113-7".into());
        assert_eq!(free_name(&seen, target), "server-203-0-113-7-2");
    }
}
