//! Pure: how many of a forwarder's pods may be evicted at once when nodes are drained.

use extconn_api::{NamespacedName, names};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{metadata, pod_selector};
use crate::settings::Settings;

/// The PodDisruptionBudget `forwarder-<name>`: one pod at a time. A single replica may go too, or
/// its node could never be drained.
pub fn budget(key: &NamespacedName, settings: &Settings) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: metadata(key, names::forwarder_workload(&key.name), settings),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(LabelSelector {
                match_labels: Some(pod_selector(key)),
                ..LabelSelector::default()
            }),
            // A pod that serves nobody must not keep its node from being drained.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".into()),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    }
}
