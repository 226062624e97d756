//! What kubelets, forwarders and gateways would report: nobody runs them here.

use serde_json::{Value, json};

use crate::world::{CONNECTOR, World};

const MERGE: &str = "application/merge-patch+json";
const EXTCONN: &str = "/apis/extconn.submariner.io/v1alpha1/namespaces/external-services";

impl World {
    /// The forwarder's Deployment, once it is there.
    pub async fn deployment(&self, external_service: &str) -> Option<Value> {
        self.get_opt(&format!(
            "/apis/apps/v1/namespaces/{CONNECTOR}/deployments/forwarder-{external_service}"
        ))
        .await
    }

    /// One pod of the forwarder is there and available.
    pub async fn forwarder_runs(&self, external_service: &str) {
        let deployment = self.deployment(external_service).await.unwrap();
        let template = &deployment["spec"]["template"];
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "namespace": CONNECTOR, "name": pod_name(external_service),
                "labels": template["metadata"]["labels"],
            },
            "spec": template["spec"],
        });
        self.put(&pod).await;
        let status = json!({"status": {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": 1, "availableReplicas": 1, "readyReplicas": 1,
        }});
        let path = World::path(&json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": deployment["metadata"],
        }));
        self.patch(&format!("{path}/status"), MERGE, &status)
            .await
            .unwrap();
    }

    /// The forwarder's pod says what has become of its tunnels: source IP and state.
    pub async fn forwarder_reports(&self, external_service: &str, tunnels: &[(&str, &str)]) {
        let tunnels: Vec<Value> = tunnels
            .iter()
            .map(|(ip, state)| json!({"sourceIP": ip, "state": state, "message": "as the test says"}))
            .collect();
        let status = json!({"status": {"replicas": [{
            "podName": pod_name(external_service),
            "publicKey": "ssh-ed25519 AAAA", "tunnels": tunnels,
        }]}});
        let path = format!("{EXTCONN}/forwarders/{external_service}/status");
        self.patch(&path, MERGE, &status).await.unwrap();
    }

    /// A gateway says whether the present rules of its source IP are in force. Nothing if there
    /// is no such Gateway object.
    pub async fn gateway_reports(&self, source_ip: &str, programmed: bool, message: &str) {
        let path = format!("{EXTCONN}/gateways/{source_ip}");
        let Some(gateway) = self.get_opt(&path).await else {
            return;
        };
        let generation = &gateway["metadata"]["generation"];
        let status = json!({"status": {
            "hostName": "gw1", "sshEndpoint": "192.0.2.1:2022", "hostKey": "ssh-ed25519 AAAA",
            "observedGeneration": generation,
            "conditions": [{
                "type": "Programmed", "status": if programmed { "True" } else { "False" },
                "reason": "AsTheTestSays", "message": message,
                "observedGeneration": generation, "lastTransitionTime": "2026-01-01T00:00:00Z",
            }],
        }});
        self.patch(&format!("{path}/status"), MERGE, &status)
            .await
            .unwrap();
    }

    /// A gateway says that its host reserves the source IP for these namespaces.
    pub async fn gateway_reserves(&self, source_ip: &str, namespaces: &[&str]) {
        let path = format!("{EXTCONN}/gateways/{source_ip}/status");
        let status = json!({"status": {"allowedNamespaces": namespaces}});
        self.patch(&path, MERGE, &status).await.unwrap();
    }
}

fn pod_name(external_service: &str) -> String {
    format!("forwarder-{external_service}-0")
}
