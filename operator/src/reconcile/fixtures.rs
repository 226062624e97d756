//! A cluster written down as YAML, for tests of the pure steps.

use std::hash::Hash;
use std::sync::Arc;

use extconn_api::permission::{Namespaces, Trust};
use extconn_api::{ExternalService, names};
use kube::Resource;
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher::Event;
use serde::de::DeserializeOwned;

use crate::controller::index::{Index, index};
use crate::controller::stores::{self, Stores};
use crate::controller::wish::Wish;
use crate::reconcile::observe::{Observed, observe};
use crate::reconcile::validate::{Validated, validate};
use crate::settings::{PodOptions, Settings};

/// The manifest of the README, in the namespace `default`.
pub const REFERENCE: &str = "
kind: ExternalService
metadata: {name: my-externalservice, namespace: default, uid: u1, generation: 1,
           creationTimestamp: 2026-11-23T10:00:00Z}
spec:
  targetIP: 203.0.113.7
  sources:
    - service: {namespace: ns1, name: my-service1}
      sourceIP: 192.0.2.200
    - service: {namespace: ns2, name: my-service2}
      sourceIP: 192.0.2.201
  ports:
    - {protocol: TCP, port: 8000, targetPort: 8000}
";

/// The Services that it lists.
pub const SERVICES: &str = "
---
kind: Service
metadata: {name: my-service1, namespace: ns1}
spec: {clusterIP: 10.96.0.21, ports: [{port: 80, protocol: TCP}]}
---
kind: Service
metadata: {name: my-service2, namespace: ns2}
spec:
  clusterIP: 10.96.0.22
  ports: [{port: 80, protocol: TCP}, {port: 443, protocol: TCP}, {port: 53, protocol: UDP}]
";

/// The gateway of its first source IP, at work.
pub const GATEWAY: &str = "
---
kind: Gateway
metadata: {name: 192.0.2.200, namespace: external-services, generation: 4}
spec: {sourceIP: 192.0.2.200, forwarders: []}
status:
  hostName: gw1
  sshEndpoint: 192.0.2.1:2022
  hostKey: ssh-ed25519 AAAA
  conditions:
    - {type: Programmed, status: 'True', reason: Programmed, message: '',
       observedGeneration: 4, lastTransitionTime: 2026-11-23T10:00:00Z}
";

/// Settings as they are without flags.
pub fn settings() -> Settings {
    Settings {
        connector_namespace: names::CONNECTOR_NAMESPACE.into(),
        forwarder_image: "localhost/extconn-forwarder:0.1.0".into(),
        image_pull_policy: "IfNotPresent".into(),
        image_pull_secrets: vec![],
        forwarder_replicas: 2,
        forwarder_pod: PodOptions::default(),
        forwarder_log: "info".into(),
        forwarder_log_format: "json".into(),
        trust: Trust {
            connector_namespace: names::CONNECTOR_NAMESPACE.into(),
            others: Namespaces::parse("default,a,z"),
        },
        endpointslices_role: "extconn-forwarder-endpointslices".into(),
    }
}

/// What is observed in this cluster for its first ExternalService.
pub fn observed(documents: &str) -> Observed {
    let external_services: Vec<ExternalService> = of_kind(documents);
    let first = external_services
        .into_iter()
        .next()
        .expect("an ExternalService is there");
    observe(Arc::new(first), &stores(documents))
}

/// What is judged of it.
pub fn validated(documents: &str) -> Validated {
    validate(&observed(documents), &settings().trust)
}

fn stores(documents: &str) -> Stores {
    let (external_services, external_services_by_wish) = indexed(documents, Wish::of);
    let (gateways, gateways_by_grant) = indexed(documents, stores::granted);
    let (role_bindings, role_bindings_by_owner) = indexed(documents, stores::owner);
    let (_, pods_by_owner) = indexed(documents, stores::owner);
    let (services, services_by_cluster_ip) = indexed(documents, stores::cluster_ips);
    let (_, nodes_by_address) = indexed(documents, stores::node_addresses);
    Stores {
        connector_namespace: names::CONNECTOR_NAMESPACE.into(),
        all_seen: vec![],
        external_services,
        external_services_by_wish,
        services,
        services_by_cluster_ip,
        nodes_by_address,
        forwarders: store(documents),
        gateways,
        gateways_by_grant,
        deployments: store(documents),
        disruption_budgets: store(documents),
        service_accounts: store(documents),
        roles: store(documents),
        role_bindings,
        role_bindings_by_owner,
        pods_by_owner,
    }
}

fn store<K>(documents: &str) -> Store<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + 'static,
{
    indexed(documents, |_| Vec::<()>::new()).0
}

fn indexed<K, T>(documents: &str, tags: fn(&K) -> Vec<T>) -> (Store<K>, Index<K, T>)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + 'static,
    T: Clone + Eq + Hash,
{
    let (store, mut writer) = reflector::store();
    let (index, mut indexer) = index(store.clone(), tags);
    for object in of_kind(documents) {
        let event = Event::Apply(object);
        writer.apply_watcher_event(&event);
        indexer.see(&event);
    }
    (store, index)
}

/// The objects of one kind. `apiVersion` may be left out.
fn of_kind<K: Resource<DynamicType = ()> + DeserializeOwned>(documents: &str) -> Vec<K> {
    documents
        .split("\n---\n")
        .filter(|document| !document.trim().is_empty())
        .map(|document| serde_yaml::from_str(document).expect("the fixture is YAML"))
        .filter(|object: &serde_json::Value| object["kind"] == *K::kind(&()))
        .map(|mut object| {
            object["apiVersion"] = K::api_version(&()).into();
            serde_json::from_value(object).expect("the fixture fits its kind")
        })
        .collect()
}
