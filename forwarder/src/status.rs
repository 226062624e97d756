//! Pure: what a replica tells about itself in the Forwarder's status.

use extconn_api::forwarder::{ReplicaStatus, TunnelState, TunnelStatus};
use extconn_dataplane::forwarder as plane;
use extconn_dataplane::identity::PublicKey;

/// Longest message of a tunnel, in characters.
const LONGEST_MESSAGE: usize = 200;

/// The entry of the replica `pod_name`, which carries out `generation`.
pub fn replica_status(
    pod_name: &str,
    public_key: &PublicKey,
    generation: Option<i64>,
    report: &plane::ForwarderReport,
) -> ReplicaStatus {
    ReplicaStatus {
        pod_name: pod_name.to_owned(),
        public_key: public_key.to_string(),
        observed_generation: generation,
        tunnels: report
            .tunnels
            .iter()
            .map(|(source_ip, tunnel)| TunnelStatus {
                source_ip: source_ip.to_string(),
                state: state(tunnel.state),
                message: tunnel.message.as_deref().map(shortened),
            })
            .collect(),
        refused_node_addresses: report
            .refused_nodes
            .iter()
            .map(ToString::to_string)
            .collect(),
    }
}

fn state(state: plane::TunnelState) -> TunnelState {
    match state {
        plane::TunnelState::Connecting => TunnelState::Connecting,
        plane::TunnelState::Up => TunnelState::Up,
        plane::TunnelState::Down => TunnelState::Down,
    }
}

/// What a far end says may be of any length and hold anything.
fn shortened(message: &str) -> String {
    message
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(LONGEST_MESSAGE)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use extconn_dataplane::identity::PrivateKey;

    use super::*;

    #[test]
    fn the_entry_says_what_the_report_says() {
        let report = plane::ForwarderReport {
            tunnels: BTreeMap::from([(
                "192.0.2.10".parse().unwrap(),
                plane::TunnelReport {
                    state: plane::TunnelState::Down,
                    message: Some("refused\nby 192.0.2.1".into()),
                },
            )]),
            refused_nodes: BTreeSet::from(["172.30.0.11".parse().unwrap()]),
            listening: BTreeSet::from([5432]),
        };
        let key = PrivateKey::generate().public_key();
        let status = replica_status("pod-1", &key, Some(3), &report);
        assert_eq!(
            status,
            ReplicaStatus {
                pod_name: "pod-1".into(),
                public_key: key.to_string(),
                observed_generation: Some(3),
                tunnels: vec![TunnelStatus {
                    source_ip: "192.0.2.10".into(),
                    state: TunnelState::Down,
                    message: Some("refused by 192.0.2.1".into()),
                }],
                refused_node_addresses: vec!["172.30.0.11".into()],
            }
        );
    }

    #[test]
    fn a_long_message_is_cut() {
        assert_eq!(shortened(&"x".repeat(5000)).len(), LONGEST_MESSAGE);
    }
}
