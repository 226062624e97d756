//! Pure: what the API server's answers say of an address.

use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::ResourceExt;
use kube::core::{PartialObjectMeta, WatchEvent};

/// Selects pods that a node has and whose address is not known yet.
pub const UNADDRESSED: &str = "status.phase=Pending,status.podIP=,spec.nodeName!=";

/// Selects pods that have an address.
pub const ADDRESSED: &str = "status.podIP!=,spec.nodeName!=";

/// Selects pods that may have an address.
pub fn with_address(address: Ipv4Addr) -> String {
    format!("status.podIP={address},status.phase!=Succeeded,status.phase!=Failed")
}

/// The [`address`] of the pod that has changed.
pub fn address_in(event: WatchEvent<Pod>) -> Option<Ipv4Addr> {
    match event {
        WatchEvent::Added(pod) | WatchEvent::Modified(pod) => address(&pod),
        WatchEvent::Deleted(_) | WatchEvent::Bookmark(_) | WatchEvent::Error(_) => None,
    }
}

/// The one pod of these that is there to stay. An address is given to the next pod while the last
/// one may still be listed as terminating; if several are left, it is not certain whose it is.
pub fn only_live(pods: Vec<PartialObjectMeta<Pod>>) -> Option<PartialObjectMeta<Pod>> {
    let mut live = pods
        .into_iter()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none());
    live.next().filter(|_| live.next().is_none())
}

/// The address that a pod has for itself alone.
pub fn address(pod: &Pod) -> Option<Ipv4Addr> {
    let status = pod.status.as_ref()?;
    let has_ended = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
    let shares_its_nodes = pod
        .spec
        .as_ref()
        .is_some_and(|spec| spec.host_network == Some(true));
    let is_leaving = pod.metadata.deletion_timestamp.is_some();
    if is_leaving || has_ended || shares_its_nodes {
        return None;
    }
    status.pod_ip.as_ref()?.parse().ok()
}

/// How long ago a pod was made at most, if this clock and the API server's agree within two seconds.
pub fn age(pod: &Pod, now: Timestamp) -> Option<Duration> {
    let made = pod.metadata.creation_timestamp.as_ref()?.0;
    let age = Duration::try_from(now.duration_since(made)).unwrap_or_default();
    Some(age + Duration::from_secs(2))
}

/// Whether a pod is behind a Service of its namespace, as the EndpointSlice controller will find.
pub fn is_behind(pod: &Pod, service: &Service) -> bool {
    let Some(spec) = &service.spec else {
        return false;
    };
    let Some(selector) = &spec.selector else {
        return false;
    };
    !selector.is_empty()
        && spec.type_.as_deref() != Some("ExternalName")
        && selector
            .iter()
            .all(|(label, value)| pod.labels().get(label) == Some(value))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 244, 1, 5);

    fn pod(change: impl Fn(&mut Value)) -> Pod {
        let mut pod = json!({
            "metadata": {"namespace": "shop", "name": "web-1", "uid": "1",
                "labels": {"app": "web", "tier": "front"}},
            "spec": {"containers": []},
            "status": {"phase": "Running", "podIP": "10.244.1.5"},
        });
        change(&mut pod);
        serde_json::from_value(pod).unwrap()
    }

    fn service(spec: Value) -> Service {
        serde_json::from_value(json!({"metadata": {"name": "web"}, "spec": spec})).unwrap()
    }

    #[test]
    fn a_live_pod_has_the_address_that_its_status_says() {
        assert_eq!(address(&pod(|_| ())), Some(ADDRESS));
        let pending = pod(|p| p["status"]["phase"] = json!("Pending"));
        assert_eq!(address(&pending), Some(ADDRESS));
        let changes: [fn(&mut Value); 7] = [
            |p| p["status"]["podIP"] = json!("2001:db8::5"),
            |p| p["status"]["podIP"] = json!(null),
            |p| p["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"),
            |p| p["status"]["phase"] = json!("Succeeded"),
            |p| p["status"]["phase"] = json!("Failed"),
            |p| p["spec"]["hostNetwork"] = json!(true),
            |p| p["status"] = json!(null),
        ];
        for change in changes {
            assert_eq!(address(&pod(change)), None);
        }
    }

    #[test]
    fn a_pod_is_as_old_as_its_object() {
        let now = "2026-01-01T00:00:10Z".parse().unwrap();
        let made = |at: &str| pod(|p| p["metadata"]["creationTimestamp"] = json!(at));
        let age = |at| age(&made(at), now).map(|age| age.as_secs());
        assert_eq!(age("2026-01-01T00:00:07Z"), Some(5));
        assert_eq!(age("2026-01-01T00:00:20Z"), Some(2));
        assert_eq!(super::age(&pod(|_| ()), now), None);
    }

    #[test]
    fn a_pod_is_behind_the_services_that_select_it() {
        let behind = |spec| is_behind(&pod(|_| ()), &service(spec));
        assert!(behind(json!({"selector": {"app": "web"}})));
        assert!(behind(json!({"selector": {"app": "web", "tier": "front"}})));
        for spec in [
            json!({"selector": {"app": "jobs"}}),
            json!({"selector": {"app": "web", "tier": "back"}}),
            json!({"selector": {"app": "web", "release": "2"}}),
            json!({"selector": {"app": "web"}, "type": "ExternalName"}),
            json!({"selector": {}}),
            json!({}),
        ] {
            assert!(!behind(spec.clone()), "{spec}");
        }
    }

    #[test]
    fn an_address_is_the_one_live_pods() {
        let live = |name: &str| PartialObjectMeta::<Pod> {
            metadata: pod(|p| p["metadata"]["name"] = json!(name)).metadata,
            ..PartialObjectMeta::default()
        };
        let terminating = |name: &str| {
            let mut pod = live(name);
            let long_ago = "2026-01-01T00:00:00Z";
            pod.metadata.deletion_timestamp = serde_json::from_value(json!(long_ago)).unwrap();
            pod
        };
        let owner = |pods| only_live(pods).map(|pod| pod.name_any());
        assert_eq!(owner(vec![]), None);
        assert_eq!(owner(vec![live("a")]), Some("a".into()));
        assert_eq!(
            owner(vec![terminating("old"), live("next")]),
            Some("next".into())
        );
        assert_eq!(owner(vec![terminating("old")]), None);
        assert_eq!(owner(vec![live("a"), live("b")]), None);
    }
}
