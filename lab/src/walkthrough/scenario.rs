//! Pure: who takes part in a walkthrough.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use crate::topology::{EXTERNAL, EXTERNAL_PORT, Host, SOURCE_IPS};

/// Where forwarders and their Services are.
pub const CONNECTOR_NAMESPACE: &str = "external-services";

/// A Service, a pod behind it, and the address that the pod takes on.
#[derive(Clone, Debug)]
pub struct Source {
    /// Namespace of both.
    pub namespace: String,
    /// Name of the Service.
    pub service: String,
    /// Name of the pod.
    pub pod: String,
    /// The node of the pod.
    pub node: Host,
    /// What the external server shall see.
    pub source_ip: Ipv4Addr,
}

/// An ExternalService with two sources, and a pod that is behind neither.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Name of the ExternalService.
    pub name: String,
    /// Its namespace: the connector namespace, as an administrator's who lists Services of several
    /// teams.
    pub namespace: String,
    /// Its sources, one on each node.
    pub sources: [Source; 2],
    /// A pod in the first source's namespace that is behind no Service.
    pub outsider: String,
}

impl Scenario {
    /// The one of the README, with the names of docs/examples/my-externalservice.yaml.
    pub fn reference() -> Self {
        Self::named("my-externalservice", ["ns1", "ns2"])
    }

    /// One with this name and two namespaces made from it.
    pub fn temporary(name: &str) -> Self {
        Self::named(name, [&format!("{name}-1"), &format!("{name}-2")])
    }

    fn named(name: &str, namespaces: [&str; 2]) -> Self {
        let source = |at: usize| Source {
            namespace: namespaces[at].into(),
            service: format!("my-service{}", at + 1),
            pod: format!("my-pod{}", at + 1),
            node: Host::NODES[at],
            source_ip: SOURCE_IPS[at],
        };
        Self {
            name: name.into(),
            namespace: CONNECTOR_NAMESPACE.into(),
            sources: [source(0), source(1)],
            outsider: "my-outsider".into(),
        }
    }

    /// The name that pods dial.
    pub fn host_name(&self) -> String {
        format!("{}.{CONNECTOR_NAMESPACE}.svc.cluster.local", self.name)
    }

    /// The ExternalService.
    pub fn external_service(&self) -> Value {
        let sources = self.sources.each_ref().map(|source| {
            json!({
                "service": {"namespace": source.namespace, "name": source.service},
                "sourceIP": source.source_ip,
            })
        });
        json!({
            "apiVersion": "submariner.io/v1alpha1",
            "kind": "ExternalService",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": {
                "targetIP": EXTERNAL,
                "sources": sources,
                "ports": [{"protocol": "TCP", "port": EXTERNAL_PORT, "targetPort": EXTERNAL_PORT}],
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_scenario_is_the_manifest_that_the_documentation_shows() {
        let shown = include_str!("../../../docs/examples/my-externalservice.yaml");
        let mut shown: Value = serde_yaml::from_str(shown).unwrap();
        let mut made = Scenario::reference().external_service();
        // The example is applied in the namespace of whoever applies it.
        made["metadata"]
            .as_object_mut()
            .unwrap()
            .remove("namespace");
        shown["metadata"]
            .as_object_mut()
            .unwrap()
            .remove("namespace");
        assert_eq!(made, shown);
    }
}
