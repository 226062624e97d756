//! Pure: what pods and EndpointSlices say.

use std::collections::BTreeSet;

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

/// IPv4 addresses behind a Service, ready or not; those of `test`'s own pods do not count.
pub(crate) fn addresses_behind(
    slices: &[EndpointSlice],
    namespace: &str,
    service: &str,
) -> BTreeSet<String> {
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
    of_service
        .flat_map(|slice| &slice.endpoints)
        .filter(|endpoint| !is_probe(endpoint))
        .flat_map(|endpoint| endpoint.addresses.clone())
        .collect()
}
