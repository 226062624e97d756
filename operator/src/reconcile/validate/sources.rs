//! Pure: which listed Services can be sources, and which of their ports the target may reach.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;

use extconn_api::condition::ExternalServiceReason as Reason;
use extconn_api::permission::Trust;
use extconn_api::{ExternalService, NamespacedName, Protocol};
use k8s_openapi::api::core::v1::Service;

use super::{address, claims};
use crate::reconcile::connection::{IngressPort, PortNumber, Problem, Source, SourceIp, TargetIp};
use crate::reconcile::observe::Observed;
use crate::reconcile::ownership;

type Services = BTreeMap<NamespacedName, Arc<Service>>;

/// To whom a port of a source IP leads.
#[derive(Clone)]
struct PortHolder {
    service: NamespacedName,
    /// The ExternalService that lists the Service, if it is another one.
    rival: Option<NamespacedName>,
}

impl fmt::Display for PortHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Service {}", self.service)?;
        match &self.rival {
            Some(rival) => write!(f, " of ExternalService {rival}"),
            None => Ok(()),
        }
    }
}

/// The sources as listed, whether or not the Services exist.
pub fn listed(external_service: &ExternalService) -> Result<Vec<Source>, Problem> {
    let mut seen = HashSet::new();
    let services = ownership::listed_services(external_service);
    let sources = external_service
        .spec
        .sources
        .iter()
        .zip(services)
        .enumerate();
    sources
        .map(|(i, (source, service))| {
            if !seen.insert(service.clone()) {
                return Err(Problem::new(
                    Reason::DuplicateSource,
                    format!(
                        "spec.sources[{i}] lists Service {service} again: \
                         give each Service one source IP"
                    ),
                ));
            }
            let field = format!("spec.sources[{i}].sourceIP");
            let source_ip = SourceIp(address(&field, &source.source_ip)?);
            Ok(Source { service, source_ip })
        })
        .collect()
}

/// The sources that can be, and what is wrong with the others.
pub fn resolved(listed: Vec<Source>, services: &Services) -> (Vec<Source>, Vec<Problem>) {
    let mut problems = vec![];
    let sources = listed
        .into_iter()
        .filter(|Source { service: name, .. }| match services.get(name) {
            None => {
                problems.push(Problem::new(
                    Reason::ServiceNotFound,
                    format!(
                        "Service {name} does not exist: create it, or take it out of spec.sources"
                    ),
                ));
                false
            }
            Some(service) if is_external_name(service) => {
                problems.push(Problem::new(
                    Reason::ExternalNameService,
                    format!(
                        "Service {name} is of type ExternalName and has no pods: \
                         list a Service with a selector"
                    ),
                ));
                false
            }
            Some(_) => true,
        })
        .collect();
    (sources, problems)
}

fn is_external_name(service: &Service) -> bool {
    service.spec.as_ref().and_then(|s| s.type_.as_deref()) == Some("ExternalName")
}

/// The ports of the sources, each source IP's port once: what an older ExternalService or an
/// earlier source has is left out and named in `problems`.
pub fn ingress(
    observed: &Observed,
    target: TargetIp,
    sources: &[Source],
    problems: &mut Vec<Problem>,
    trust: &Trust,
) -> Vec<IngressPort> {
    let mut holders = rival_ports(observed, target, trust);
    let mut ingress = vec![];
    for Source {
        service: name,
        source_ip,
    } in sources
    {
        let Some(service) = observed.services.get(name) else {
            continue;
        };
        let Some(cluster_ip) = cluster_ip(service) else {
            problems.push(Problem::new(
                Reason::NoClusterIP,
                format!(
                    "Service {name} has no IPv4 cluster IP, so {target} cannot reach it: \
                     list one that is not headless, or set spec.bidirectional to false"
                ),
            ));
            continue;
        };
        for port in tcp_ports(service) {
            if let Some(holder) = holders.get(&(*source_ip, port)) {
                // That it leads to this Service through another forwarder is as good.
                if holder.service != *name {
                    problems.push(Problem::new(
                        Reason::IngressPortConflict,
                        format!(
                            "port {port} of source IP {source_ip} leads to {holder}, \
                             not to Service {name}: give the Service another source IP or port"
                        ),
                    ));
                }
                continue;
            }
            let holder = PortHolder {
                service: name.clone(),
                rival: None,
            };
            holders.insert((*source_ip, port), holder);
            let (source_ip, protocol) = (*source_ip, Protocol::Tcp);
            ingress.push(IngressPort {
                source_ip,
                protocol,
                port,
                cluster_ip,
            });
        }
    }
    ingress
}

/// The (source IP, port) pairs towards `target` that older ExternalServices hold.
fn rival_ports(
    observed: &Observed,
    target: TargetIp,
    trust: &Trust,
) -> HashMap<(SourceIp, PortNumber), PortHolder> {
    claims::older_holders(observed)
        .filter(|rival| rival.spec.bidirectional && rival.spec.target_ip == target.to_string())
        .flat_map(|rival| {
            let key = ownership::key(rival);
            claims::held_sources(rival, observed, trust)
                .into_iter()
                .flat_map(move |source| {
                    let service = observed.services.get(&source.service);
                    let holder = PortHolder {
                        service: source.service,
                        rival: Some(key.clone()),
                    };
                    let ports = service.map(|s| tcp_ports(s)).unwrap_or_default();
                    ports
                        .into_iter()
                        .map(move |port| ((source.source_ip, port), holder.clone()))
                })
        })
        .collect()
}

fn cluster_ip(service: &Service) -> Option<Ipv4Addr> {
    let spec = service.spec.as_ref()?;
    let all = spec.cluster_ips.iter().flatten().chain(&spec.cluster_ip);
    all.filter_map(|ip| ip.parse().ok()).next()
}

fn tcp_ports(service: &Service) -> Vec<PortNumber> {
    let ports = service.spec.iter().flat_map(|s| s.ports.iter().flatten());
    ports
        .filter(|port| port.protocol.as_deref().unwrap_or("TCP") == "TCP")
        .filter_map(|port| PortNumber::new(port.port))
        .collect()
}
