//! Pure: the addresses of all nodes, as the operator hands them to the forwarders.
//!
//! A connection that comes from a node's address may be anybody's: a pod in the host network, or
//! one whose CNI masquerades. Forwarders refuse it, and need these addresses to know it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Key in the ConfigMap [`crate::names::NODE_ADDRESSES`].
const KEY: &str = "addresses";

/// The ConfigMap's `data`: one address on each line, sorted.
pub fn to_config_map(addresses: &BTreeSet<IpAddr>) -> BTreeMap<String, String> {
    let lines: String = addresses.iter().map(|a| format!("{a}\n")).collect();
    BTreeMap::from([(KEY.to_owned(), lines)])
}

/// Reads the ConfigMap's `data`.
///
/// # Errors
/// The key that is missing or the line that is no address: keep what was known before.
pub fn from_config_map(data: &BTreeMap<String, String>) -> Result<BTreeSet<IpAddr>, String> {
    data.get(KEY)
        .ok_or_else(|| format!("the node addresses have no key {KEY:?}"))?
        .lines()
        .map(|line| {
            line.parse()
                .map_err(|_| format!("{line:?} among the node addresses is no IP address"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let addresses = BTreeSet::from([
            "172.30.0.12".parse().unwrap(),
            "172.30.0.11".parse().unwrap(),
            "fd00::11".parse().unwrap(),
        ]);
        let data = to_config_map(&addresses);
        assert_eq!(data[KEY], "172.30.0.11\n172.30.0.12\nfd00::11\n");
        assert_eq!(from_config_map(&data), Ok(addresses));
    }

    #[test]
    fn a_line_that_is_no_address_is_named() {
        let data = BTreeMap::from([(KEY.to_owned(), "172.30.0.11\nnode2\n".to_owned())]);
        let error = from_config_map(&data).unwrap_err();
        assert!(error.contains("\"node2\""), "{error}");
    }

    #[test]
    fn a_missing_key_is_not_taken_for_a_cluster_without_nodes() {
        assert!(from_config_map(&BTreeMap::new()).is_err());
    }
}
