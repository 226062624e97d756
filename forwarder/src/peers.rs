//! Pure: who a peer address is, from EndpointSlices and, until they list it, from what was asked.
//!
//! Not-ready pods count, since an application may need its database to become ready, and
//! terminating ones count until they are gone. When it is not certain whose an address is, it is
//! nobody's.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::Ipv4Addr;
use std::time::Instant;

use extconn_api::NamespacedName;
use extconn_dataplane::forwarder::{LookedUp, Peers, Pod};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};

use crate::build::Source;

/// Label that names the Service of an EndpointSlice.
pub const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Who may connect, and what is in doubt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sighting {
    /// For the data plane.
    pub peers: Peers,
    /// Addresses that several pods claim, with the pods' names: refused until it is clear.
    pub disputed: BTreeMap<Ipv4Addr, BTreeSet<String>>,
}

/// A pod that was found by its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The pod object.
    pub pod: NamespacedName,
    /// Its unique ID.
    pub uid: String,
    /// The Service that it is behind: of several, the first among the sources.
    pub service: NamespacedName,
    /// When the pod was made, or some time before.
    pub made: Instant,
    /// When it was asked for.
    pub asked: Instant,
}

/// An endpoint's claim that an address belongs to a pod.
struct Claim<'a> {
    uid: &'a str,
    pod: String,
    terminating: bool,
    /// Position of its Service among the sources: the smallest wins.
    rank: usize,
}

/// Who may connect. A node's address is never a pod's: host-network pods cannot be told apart.
/// What the slices say of an address counts, and not what was `found`.
pub fn sighting<'a>(
    slices: impl IntoIterator<Item = &'a EndpointSlice>,
    found: &BTreeMap<Ipv4Addr, Found>,
    sources: &[Source],
    nodes: &HashSet<Ipv4Addr>,
) -> Sighting {
    let mut claims: HashMap<Ipv4Addr, Vec<Claim>> = HashMap::new();
    for slice in slices {
        let Some(rank) = rank(slice, sources) else {
            continue;
        };
        let namespace = slice.metadata.namespace.as_deref();
        for endpoint in &slice.endpoints {
            let Some((uid, pod)) = pod_of(endpoint, namespace) else {
                continue;
            };
            for address in endpoint.addresses.iter().filter_map(|a| a.parse().ok()) {
                claims.entry(address).or_default().push(Claim {
                    uid,
                    pod: pod.clone(),
                    terminating: is_terminating(endpoint),
                    rank,
                });
            }
        }
    }
    let mut sighting = Sighting {
        peers: Peers {
            nodes: nodes.clone(),
            ..Peers::default()
        },
        ..Sighting::default()
    };
    let unlisted = found
        .iter()
        .filter(|(address, _)| !claims.contains_key(address) && !nodes.contains(address));
    for (address, found) in unlisted {
        let source = sources.iter().find(|s| s.service == found.service);
        let looked_up = source.map(|source| LookedUp {
            pod: Pod {
                name: found.pod.to_string(),
                uid: found.uid.clone(),
                source_ip: source.source_ip,
            },
            made: found.made,
            asked: found.asked,
        });
        sighting
            .peers
            .looked_up
            .extend(looked_up.map(|looked_up| (*address, looked_up)));
    }
    for (address, claims) in claims {
        if nodes.contains(&address) {
            continue;
        }
        match owner(&claims) {
            Ok(claim) => {
                let pod = Pod {
                    name: claim.pod.clone(),
                    uid: claim.uid.to_owned(),
                    source_ip: sources[claim.rank].source_ip,
                };
                sighting.peers.pods.insert(address, pod);
            }
            Err(pods) => drop(sighting.disputed.insert(address, pods)),
        }
    }
    sighting
}

/// The claim that holds, or the names of the pods that dispute the address. An address is given
/// to the next pod while the last one may still be listed as terminating: that one yields.
fn owner<'a, 'b>(claims: &'b [Claim<'a>]) -> Result<&'b Claim<'a>, BTreeSet<String>> {
    let all_terminating = claims.iter().all(|c| c.terminating);
    let holding = || {
        claims
            .iter()
            .filter(move |c| all_terminating || !c.terminating)
    };
    let uids: BTreeSet<&str> = holding().map(|c| c.uid).collect();
    holding()
        .min_by_key(|c| c.rank)
        .filter(|_| uids.len() == 1)
        .ok_or_else(|| holding().map(|c| c.pod.clone()).collect())
}

/// Position of the slice's Service among the sources; `None` if it is not among them.
fn rank(slice: &EndpointSlice, sources: &[Source]) -> Option<usize> {
    if slice.address_type != "IPv4" {
        return None;
    }
    let namespace = slice.metadata.namespace.as_deref()?;
    let name = slice.metadata.labels.as_ref()?.get(SERVICE_NAME)?;
    sources
        .iter()
        .position(|s| s.service.namespace == namespace && s.service.name == *name)
}

/// UID and `namespace/name` of the pod behind an endpoint; `None` if it is no pod of the slice's
/// namespace, as in a slice that somebody wrote by hand.
fn pod_of<'a>(endpoint: &'a Endpoint, namespace: Option<&str>) -> Option<(&'a str, String)> {
    let target = endpoint.target_ref.as_ref()?;
    if target.kind.as_deref() != Some("Pod") || target.namespace.as_deref() != namespace {
        return None;
    }
    let pod = format!("{}/{}", namespace?, target.name.as_deref()?);
    Some((target.uid.as_deref()?, pod))
}

fn is_terminating(endpoint: &Endpoint) -> bool {
    endpoint
        .conditions
        .as_ref()
        .is_some_and(|c| c.terminating == Some(true))
}

#[cfg(test)]
mod tests;
