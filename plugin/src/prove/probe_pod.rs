//! Pure: the short-lived pod that is behind a source Service without receiving its traffic.
//!
//! It carries the Service's own labels, so its address is listed among the Service's endpoints,
//! and a readiness gate that nobody ever opens, so it is listed as not ready. Its controller is a
//! ConfigMap of ours, so no ReplicaSet adopts it and deletes one of the user's pods for it; when
//! the ConfigMap goes, the pod goes.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use serde_json::{Value, json};

use crate::cluster::FIELD_MANAGER;

/// Label on everything that a test makes; its value is the run's own.
pub(crate) const RUN_LABEL: &str = "extconn.submariner.io/test-run";

/// Condition that is never set.
const NEVER: &str = "extconn.submariner.io/never-ready";

/// Seconds after which the kubelet ends the pod, whatever has become of us.
const LIFE_SECONDS: u32 = 120;

/// Seconds for which a connection that nobody ends is watched. The target is known to accept by
/// then, so this only has to cover the way there.
const HOLD_SECONDS: u32 = 3;

/// Milliseconds that a connection lasts when somebody looks at the target's connections meanwhile:
/// longer than from one look to the next.
const WATCHED_MILLISECONDS: u32 = 1000;

/// What the pod is to be.
#[derive(Clone, Debug)]
pub(crate) struct ProbePod {
    /// Its name and its owner's.
    pub name: String,
    /// Namespace of the Service.
    pub namespace: String,
    /// The Service's selector.
    pub selector: BTreeMap<String, String>,
    /// The forwarder's image.
    pub image: String,
    /// Its pull policy.
    pub pull_policy: Option<String>,
    /// Addresses to dial, in order.
    pub dial: Vec<String>,
    /// Path to ask for over HTTP on each connection.
    pub http_get: Option<String>,
    /// Whether the target's connections are looked at meanwhile.
    pub watched: bool,
    /// What the user knows this run by.
    pub run: String,
}

impl ProbePod {
    /// The owner.
    pub(crate) fn owner(&self) -> ConfigMap {
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": self.name, "namespace": self.namespace, "labels": self.run_labels()},
            "data": {"purpose": "kubectl extconn test made this; it may be deleted"},
        });
        serde_json::from_value(object).expect("this is a ConfigMap")
    }

    /// The pod, owned by the ConfigMap of this UID.
    pub(crate) fn pod(&self, owner_uid: &str) -> Pod {
        let mut labels = self.selector.clone();
        labels.extend(self.run_labels());
        let mut arguments = vec!["dial".to_owned(), format!("--hold={HOLD_SECONDS}")];
        if self.watched {
            arguments.push(format!("--linger={WATCHED_MILLISECONDS}"));
        }
        arguments.extend(
            self.http_get
                .iter()
                .map(|path| format!("--http-get={path}")),
        );
        arguments.extend(self.dial.iter().cloned());
        let object = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": self.name, "namespace": self.namespace, "labels": labels,
                "ownerReferences": [{
                    "apiVersion": "v1", "kind": "ConfigMap", "name": self.name, "uid": owner_uid,
                    "controller": true, "blockOwnerDeletion": false,
                }],
            },
            "spec": {
                "readinessGates": [{"conditionType": NEVER}],
                "restartPolicy": "Never",
                "activeDeadlineSeconds": LIFE_SECONDS,
                "terminationGracePeriodSeconds": 0,
                "automountServiceAccountToken": false,
                "enableServiceLinks": false,
                "securityContext": {
                    "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [{
                    "name": "dial",
                    "image": self.image,
                    "imagePullPolicy": self.pull_policy,
                    "args": arguments,
                    "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "200m", "memory": "64Mi"}},
                    "securityContext": {
                        "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }],
            },
        });
        without_nulls(object)
    }

    fn run_labels(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            (RUN_LABEL.to_owned(), self.run.clone()),
            (
                "app.kubernetes.io/managed-by".to_owned(),
                FIELD_MANAGER.to_owned(),
            ),
        ])
    }
}

fn without_nulls(mut object: Value) -> Pod {
    if let Some(container) = object["spec"]["containers"][0].as_object_mut() {
        container.retain(|_, value| !value.is_null());
    }
    serde_json::from_value(object).expect("this is a Pod")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe() -> ProbePod {
        ProbePod {
            name: "extconn-test-web-x".into(),
            namespace: "ns1".into(),
            selector: BTreeMap::from([("app".to_owned(), "web".to_owned())]),
            image: "localhost/extconn-forwarder:0.1.0".into(),
            pull_policy: None,
            dial: vec!["db.external-services.svc:15432".into()],
            http_get: None,
            watched: false,
            run: "x".into(),
        }
    }

    #[test]
    fn the_pod_is_behind_the_service_and_never_ready() {
        let pod = probe().pod("uid");
        assert_eq!(pod.metadata.labels.as_ref().unwrap()["app"], "web");
        let spec = pod.spec.unwrap();
        assert_eq!(spec.readiness_gates.unwrap()[0].condition_type, NEVER);
        assert_eq!(spec.restart_policy.as_deref(), Some("Never"));
        assert!(spec.active_deadline_seconds.is_some());
    }

    #[test]
    fn no_replica_set_can_adopt_it_and_it_goes_with_its_owner() {
        let owners = probe().pod("uid").metadata.owner_references.unwrap();
        assert_eq!(
            (owners[0].controller, owners[0].uid.as_str()),
            (Some(true), "uid")
        );
        assert_eq!(owners[0].name, probe().owner().metadata.name.unwrap());
    }

    #[test]
    fn it_meets_the_restricted_pod_security_standard() {
        let pod = serde_json::to_value(probe().pod("uid")).unwrap();
        let container = &pod["spec"]["containers"][0]["securityContext"];
        assert_eq!(container["allowPrivilegeEscalation"], false);
        assert_eq!(container["capabilities"]["drop"], json!(["ALL"]));
        assert_eq!(pod["spec"]["securityContext"]["runAsNonRoot"], true);
        assert_eq!(
            pod["spec"]["securityContext"]["seccompProfile"]["type"],
            "RuntimeDefault"
        );
    }
}
