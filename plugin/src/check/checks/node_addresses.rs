//! Pure: check `pod-addresses-seen`.

use std::collections::BTreeSet;

use crate::check::{Check, Verdict, When};

pub(crate) const CHECK: Check = Check {
    name: "pod-addresses-seen",
    group: "forwarders",
    when: When::After,
    why: "A forwarder tells pods apart by their addresses. A connection that arrives from a node's address may be anybody's and is refused.",
    hint: "do not use host networking for these pods, and make the CNI or kube-proxy keep pod addresses for traffic between pods (no masquerading)",
    run: |seen| {
        let Some(forwarders) = &seen.forwarders else {
            return Verdict::Skipped("you may not list Forwarders".to_owned());
        };
        let replicas = forwarders
            .iter()
            .filter_map(|forwarder| forwarder.status.as_ref())
            .flat_map(|status| &status.replicas);
        let refused: BTreeSet<&str> = replicas
            .flat_map(|replica| &replica.refused_node_addresses)
            .map(String::as_str)
            .collect();
        if refused.is_empty() {
            return Verdict::Passed(
                "no connection was refused because it came from a node's address".to_owned(),
            );
        }
        let refused: Vec<&str> = refused.into_iter().collect();
        Verdict::Warning(format!(
            "connections came from nodes and were refused: {}",
            refused.join(", ")
        ))
    },
};
