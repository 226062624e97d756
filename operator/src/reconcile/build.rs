//! Pure: step 3, from what is to be set up to the objects that set it up.

mod deployment;
mod disruption;
mod forwarder;
mod rbac;
mod service;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use extconn_api::gateway::ForwarderGrant;
use extconn_api::{Forwarder, Gateway, NamespacedName, names};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::ObjectMeta;

use crate::reconcile::connection::{SourceIp, Verdict};
use crate::reconcile::ownership;
use crate::reconcile::validate::Validated;
use crate::settings::Settings;

/// All objects of one ExternalService. Whoever applies them takes this apart without `..`, so
/// that a kind nobody applies does not compile.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// Identity of the forwarder's pods.
    pub service_account: ServiceAccount,
    /// What they may do in the connector namespace.
    pub role: Role,
    /// Binding of that Role.
    pub role_binding: RoleBinding,
    /// One binding in each namespace of a source Service, sorted by namespace.
    pub source_role_bindings: Vec<RoleBinding>,
    /// What the forwarder has to do.
    pub forwarder: Forwarder,
    /// What gateways allow it: one entry for each source IP, sorted.
    pub gateway_grants: BTreeMap<SourceIp, ForwarderGrant>,
    /// The name that pods dial.
    pub service: Service,
    /// How many of the forwarder's pods may be evicted at once.
    pub disruption_budget: PodDisruptionBudget,
    /// The forwarder's pods.
    pub deployment: Deployment,
}

/// The objects that carry out `validated`; none if there is nothing to carry out.
pub fn build(
    validated: &Validated,
    gateways: &BTreeMap<String, Arc<Gateway>>,
    settings: &Settings,
) -> Option<Desired> {
    let Validated {
        key,
        verdict,
        generation: _,
        name_holder: _,
    } = validated;
    let connection = match verdict {
        Verdict::Accepted(connection) if !connection.sources.is_empty() => connection,
        Verdict::Accepted(_) | Verdict::Refused(_) => return None,
    };
    Some(Desired {
        service_account: rbac::service_account(key, settings),
        role: rbac::role(key, settings),
        role_binding: rbac::role_binding(key, settings),
        source_role_bindings: rbac::source_role_bindings(key, connection, settings),
        forwarder: forwarder::forwarder(key, connection, gateways, settings),
        gateway_grants: forwarder::gateway_grants(key, connection),
        service: service::service(key, connection, settings),
        disruption_budget: disruption::budget(key, settings),
        deployment: deployment::deployment(key, connection, settings),
    })
}

/// Metadata of an object in the connector namespace.
fn metadata(key: &NamespacedName, name: String, settings: &Settings) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(settings.connector_namespace.clone()),
        labels: Some(labels(key)),
        ..ObjectMeta::default()
    }
}

fn labels(key: &NamespacedName) -> BTreeMap<String, String> {
    let mut labels = ownership::owner_labels(key);
    let recommended = [
        ("app.kubernetes.io/name", "extconn-forwarder"),
        ("app.kubernetes.io/instance", key.name.as_str()),
        ("app.kubernetes.io/component", "forwarder"),
        ("app.kubernetes.io/part-of", "extconn"),
        ("app.kubernetes.io/version", env!("CARGO_PKG_VERSION")),
    ];
    labels.extend(recommended.map(|(label, value)| (label.to_owned(), value.to_owned())));
    labels
}

/// Labels by which Deployment and Service know the pods. They can never change.
fn pod_selector(key: &NamespacedName) -> BTreeMap<String, String> {
    BTreeMap::from([
        (names::LABEL_NAMESPACE.into(), key.namespace.clone()),
        (names::LABEL_NAME.into(), key.name.clone()),
    ])
}
