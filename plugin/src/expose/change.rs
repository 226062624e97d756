//! Pure: what applying an ExternalService changes of the one that is there.

use std::collections::BTreeMap;

use extconn_api::ExternalService;

use super::judge::service_key;

/// A clause for each change; none if it stays as it is.
pub(crate) fn changes(before: &ExternalService, after: &ExternalService) -> Vec<String> {
    let mut clauses = Vec::new();
    if before.spec.target_ip != after.spec.target_ip {
        clauses.push(format!(
            "its target becomes {} instead of {}",
            after.spec.target_ip, before.spec.target_ip
        ));
    }
    clauses.extend(differences("source", &sources(before), &sources(after)));
    clauses.extend(differences("port", &ports(before), &ports(after)));
    match (before.spec.bidirectional, after.spec.bidirectional) {
        (true, false) => clauses.push("the way back goes".to_owned()),
        (false, true) => clauses.push("a way back comes".to_owned()),
        _ => {}
    }
    clauses
}

/// Source IPs by Service.
fn sources(object: &ExternalService) -> BTreeMap<String, String> {
    let sources = object.spec.sources.iter();
    sources
        .map(|source| {
            let service = service_key(object, source).to_string();
            (service, source.source_ip.clone())
        })
        .collect()
}

/// What pods dial, by port of the external server.
fn ports(object: &ExternalService) -> BTreeMap<String, String> {
    let ports = object.spec.ports.iter();
    ports
        .map(|port| {
            let dialled = port.target_port.unwrap_or(port.port);
            (port.port.to_string(), dialled.to_string())
        })
        .collect()
}

fn differences(
    what: &str,
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> Vec<String> {
    let mut clauses = Vec::new();
    for (key, value) in before {
        match after.get(key) {
            None => clauses.push(format!("{what} {key} goes")),
            Some(other) if other != value => {
                clauses.push(format!("{what} {key} becomes {other} instead of {value}"));
            }
            Some(_) => {}
        }
    }
    let new = after.keys().filter(|key| !before.contains_key(*key));
    clauses.extend(new.map(|key| format!("{what} {key} comes")));
    clauses
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expose::fixtures::external_service;

    #[test]
    fn every_change_is_told_and_only_changes_are() {
        let before = external_service("ns1", "db", "203.0.113.7", "192.0.2.10");
        assert_eq!(changes(&before, &before), [""; 0]);
        let mut after = external_service("ns1", "db", "203.0.113.8", "192.0.2.11");
        // The namespace of the object itself may be left out.
        after.spec.sources[0].service.namespace = None;
        let mut second = after.spec.sources[0].clone();
        second.service.name = "api".into();
        after.spec.sources.push(second);
        after.spec.ports[0].target_port = Some(15432);
        after.spec.bidirectional = false;
        assert_eq!(
            changes(&before, &after),
            [
                "its target becomes 203.0.113.8 instead of 203.0.113.7",
                "source ns1/web becomes 192.0.2.11 instead of 192.0.2.10",
                "source ns1/api comes",
                "port 5432 becomes 15432 instead of 5432",
                "the way back goes",
            ]
        );
        after.spec.sources.remove(0);
        assert!(changes(&before, &after).contains(&"source ns1/web goes".to_owned()));
    }
}
