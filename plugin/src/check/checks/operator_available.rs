//! Pure: check `operator-available`.

use std::collections::BTreeMap;

use kube::ResourceExt;

use crate::check::{Check, Verdict, When};
use crate::cluster::pods;

/// Whether labels are those of the operator or of its pods.
fn is_operator(labels: &BTreeMap<String, String>) -> bool {
    labels
        .get("app.kubernetes.io/component")
        .is_some_and(|component| component == "operator")
}

pub(crate) const CHECK: Check = Check {
    name: "operator-available",
    group: "installation",
    when: When::After,
    why: "Without the operator nothing that you change takes effect; what is established goes on.",
    hint: "see `kubectl extconn logs operator`; run `kubectl extconn init` if it is not there at all",
    run: |seen| {
        let Some(deployments) = &seen.deployments else {
            return Verdict::Skipped(format!(
                "you may not list Deployments in namespace {}",
                seen.connector_namespace
            ));
        };
        let Some(operator) = deployments
            .iter()
            .find(|deployment| is_operator(deployment.labels()))
        else {
            return Verdict::Failed(format!(
                "there is no operator in namespace {}",
                seen.connector_namespace
            ));
        };
        let wanted = operator
            .spec
            .as_ref()
            .and_then(|spec| spec.replicas)
            .unwrap_or(1);
        let available = operator
            .status
            .as_ref()
            .and_then(|status| status.available_replicas)
            .unwrap_or(0);
        if available >= wanted && wanted > 0 {
            return Verdict::Passed(format!(
                "{available} of {wanted} replicas of the operator are available"
            ));
        }
        let why = seen
            .pods
            .iter()
            .flatten()
            .filter(|pod| is_operator(pod.labels()))
            .find_map(pods::trouble);
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        Verdict::Failed(format!(
            "{available} of {wanted} replicas of the operator are available{why}"
        ))
    },
};
