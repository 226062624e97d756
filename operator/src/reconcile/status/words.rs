//! Pure: lists in words, cut short before they fill the screen.

use extconn_api::external_service::Source;

use crate::reconcile::connection::Connection;
use crate::reconcile::observe::AtTarget;

/// That the ExternalService is accepted, and what may be odd about it all the same.
pub fn accepted(connection: &Connection) -> String {
    let accepted = "the ExternalService makes sense and conflicts with no other";
    let target = connection.target;
    match &connection.at_target {
        None => accepted.into(),
        Some(AtTarget::Service(service)) => format!(
            "{accepted}; targetIP {target} is also the cluster IP of Service {service} here, which \
             a gateway host does not reach: if you mean that Service, let pods dial it themselves"
        ),
        Some(AtTarget::Node(node)) => format!(
            "{accepted}; targetIP {target} is also an address of node {node}: connections leave \
             the cluster by way of the gateway host and come back; if that is not what you mean, \
             give targetIP the address of the external server"
        ),
    }
}

/// How many are named before the rest is counted.
const NAMED: usize = 4;

/// "Services ns1/a, ns2/b and 3 more".
pub fn services(connection: &Connection) -> String {
    let names = connection
        .sources
        .iter()
        .take(NAMED)
        .map(|source| source.service.to_string());
    let names = names.collect::<Vec<_>>().join(", ");
    match connection.sources.len().saturating_sub(NAMED) {
        0 => format!("Services {names}"),
        more => format!("Services {names} and {more} more"),
    }
}

/// "192.0.2.10,192.0.2.11,+3": each source IP once, in spec order.
pub fn source_ips(sources: &[Source]) -> String {
    let mut distinct: Vec<&str> = vec![];
    for source in sources {
        if !distinct.contains(&source.source_ip.as_str()) {
            distinct.push(&source.source_ip);
        }
    }
    let more = distinct.len().saturating_sub(NAMED);
    distinct.truncate(NAMED);
    let named = distinct.join(",");
    if more == 0 {
        named
    } else {
        format!("{named},+{more}")
    }
}

#[cfg(test)]
mod tests {
    use extconn_api::external_service::ServiceReference;

    use super::*;

    #[test]
    fn source_ips_are_named_once_and_then_counted() {
        let source = |i: u8| Source {
            service: ServiceReference {
                namespace: None,
                name: format!("s{i}"),
            },
            source_ip: format!("192.0.2.{}", 10 + i / 2),
        };
        let sources: Vec<_> = (0..14).map(source).collect();
        assert_eq!(source_ips(&sources[..3]), "192.0.2.10,192.0.2.11");
        assert_eq!(
            source_ips(&sources),
            "192.0.2.10,192.0.2.11,192.0.2.12,192.0.2.13,+3"
        );
    }
}
