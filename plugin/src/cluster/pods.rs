//! Pure: what pods and EndpointSlices say.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use kube::ResourceExt;

/// Label by which an EndpointSlice belongs to a Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Why a pod is not well, in words; nothing if it is ready.
pub(crate) fn trouble(pod: &Pod) -> Option<String> {
    let name = pod.name_any();
    let status = pod.status.as_ref()?;
    let containers = status.container_statuses.iter().flatten();
    for container in containers {
        let state = container.state.as_ref();
        if let Some(waiting) = state.and_then(|state| state.waiting.as_ref()) {
            let reason = waiting.reason.clone().unwrap_or_default();
            let message = waiting
                .message
                .as_ref()
                .map(|message| format!(": {message}"))
                .unwrap_or_default();
            return Some(format!("pod {name} waits: {reason}{message}"));
        }
        if let Some(ended) = state.and_then(|state| state.terminated.as_ref()) {
            return Some(format!("pod {name} ended with status {}", ended.exit_code));
        }
    }
    let unmet = status.conditions.iter().flatten().find(|condition| {
        ["PodScheduled", "Ready"].contains(&condition.type_.as_str()) && condition.status != "True"
    })?;
    let message = unmet
        .message
        .clone()
        .or_else(|| unmet.reason.clone())
        .unwrap_or_default();
    Some(format!("pod {name} is not ready: {message}"))
}

/// Whether a pod waits for something that no waiting brings.
pub(crate) fn is_hopeless(pod: &Pod) -> bool {
    const HOPELESS: [&str; 4] = [
        "ErrImageNeverPull",
        "InvalidImageName",
        "ImagePullBackOff",
        "CreateContainerConfigError",
    ];
    let containers = pod
        .status
        .as_ref()
        .and_then(|status| status.container_statuses.as_ref());
    let mut reasons = containers.into_iter().flatten().filter_map(|container| {
        container
            .state
            .as_ref()?
            .waiting
            .as_ref()?
            .reason
            .as_deref()
    });
    reasons.any(|reason| HOPELESS.contains(&reason))
}

/// Beginning of the name of every pod that `test` makes.
pub(crate) const PROBE_PREFIX: &str = "extconn-test-";

/// How many pods are behind a Service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Behind {
    /// Those that stay, ready or not.
    pub pods: usize,
    /// Those that receive its traffic.
    pub ready: usize,
}

/// Counts the pods behind a Service by their IPv4 addresses; those that are being deleted and
/// `test`'s own do not count.
pub(crate) fn behind(slices: &[EndpointSlice], namespace: &str, service: &str) -> Behind {
    let is_probe = |endpoint: &Endpoint| {
        let pod = endpoint.target_ref.as_ref();
        pod.and_then(|pod| pod.name.as_ref())
            .is_some_and(|name| name.starts_with(PROBE_PREFIX))
    };
    let of_service = slices.iter().filter(|slice| {
        slice.namespace().as_deref() == Some(namespace)
            && slice
                .labels()
                .get(SERVICE_NAME)
                .is_some_and(|name| name == service)
            && slice.address_type == "IPv4"
    });
    // A pod may be in two slices for a moment.
    let mut ready_by_address = BTreeMap::new();
    for endpoint in of_service.flat_map(|slice| &slice.endpoints) {
        let conditions = endpoint.conditions.as_ref();
        let is_leaving = conditions.and_then(|c| c.terminating).unwrap_or(false);
        // Left out, it means ready.
        let is_ready = conditions.and_then(|c| c.ready).unwrap_or(true);
        if is_leaving || is_probe(endpoint) {
            continue;
        }
        for address in &endpoint.addresses {
            *ready_by_address.entry(address.clone()).or_insert(false) |= is_ready;
        }
    }
    Behind {
        pods: ready_by_address.len(),
        ready: ready_by_address.values().filter(|ready| **ready).count(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pods_that_leave_and_probes_do_not_count_as_behind_a_service() {
        let endpoint = |address: &str, ready: bool, terminating: bool, pod: &str| {
            json!({"addresses": [address], "targetRef": {"kind": "Pod", "name": pod},
                   "conditions": {"ready": ready, "terminating": terminating}})
        };
        let slice = |endpoints: serde_json::Value| -> EndpointSlice {
            serde_json::from_value(json!({
                "metadata": {"namespace": "ns1", "name": "web-1",
                             "labels": {"kubernetes.io/service-name": "web"}},
                "addressType": "IPv4", "endpoints": endpoints,
            }))
            .unwrap()
        };
        let slices = [
            slice(json!([
                endpoint("10.244.1.2", true, false, "web-a"),
                endpoint("10.244.1.3", false, false, "web-b"),
                endpoint("10.244.1.4", false, true, "web-c"),
                endpoint("10.244.1.5", false, false, "extconn-test-0-1"),
            ])),
            slice(json!([
                endpoint("10.244.1.2", true, false, "web-a"),
                {"addresses": ["10.244.1.6"]},
            ])),
        ];
        let expected = Behind { pods: 3, ready: 2 };
        assert_eq!(behind(&slices, "ns1", "web"), expected);
        assert_eq!(behind(&slices, "ns2", "web"), Behind::default());
    }
}
