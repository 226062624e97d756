//! Pure: who a forwarder is and what it may do: its own Forwarder object, the node addresses,
//! and the EndpointSlices of its source Services' namespaces.

use std::collections::BTreeSet;

use extconn_api::{NamespacedName, names};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject};

use super::metadata;
use crate::reconcile::connection::Connection;
use crate::settings::Settings;

/// The identity of the forwarder's pods.
pub fn service_account(key: &NamespacedName, settings: &Settings) -> ServiceAccount {
    ServiceAccount {
        metadata: metadata(key, names::forwarder_workload(&key.name), settings),
        // The pods ask for the token themselves; no other pod gets it by mistake.
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

/// What a forwarder may do in the connector namespace. The operator must hold all of it itself.
pub fn role(key: &NamespacedName, settings: &Settings) -> Role {
    let rule = |group: &str, resource: &str, name: &str, verbs: &[&str]| PolicyRule {
        api_groups: Some(vec![group.into()]),
        resources: Some(vec![resource.into()]),
        resource_names: Some(vec![name.into()]),
        verbs: verbs.iter().map(|&verb| verb.into()).collect(),
        ..PolicyRule::default()
    };
    const GROUP: &str = "extconn.submariner.io";
    const READ: &[&str] = &["get", "list", "watch"];
    Role {
        metadata: metadata(key, names::forwarder_workload(&key.name), settings),
        rules: Some(vec![
            rule(GROUP, "forwarders", &key.name, READ),
            rule(GROUP, "forwarders/status", &key.name, &["patch"]),
            rule("", "configmaps", names::NODE_ADDRESSES, READ),
        ]),
    }
}

/// Binds [`role`] to [`service_account`].
pub fn role_binding(key: &NamespacedName, settings: &Settings) -> RoleBinding {
    let name = names::forwarder_workload(&key.name);
    RoleBinding {
        metadata: metadata(key, name.clone(), settings),
        role_ref: role_ref("Role", &name),
        subjects: Some(vec![subject(key, settings)]),
    }
}

/// Lets the forwarder read the EndpointSlices of its sources: one binding for each namespace.
pub fn source_role_bindings(
    key: &NamespacedName,
    connection: &Connection,
    settings: &Settings,
) -> Vec<RoleBinding> {
    let namespaces: BTreeSet<&String> = connection
        .sources
        .iter()
        .map(|source| &source.service.namespace)
        .collect();
    namespaces
        .into_iter()
        .map(|namespace| {
            let name = format!("{}-endpointslices", names::forwarder_workload(&key.name));
            let mut metadata = metadata(key, name, settings);
            metadata.namespace = Some(namespace.clone());
            RoleBinding {
                metadata,
                role_ref: role_ref("ClusterRole", &settings.endpointslices_role),
                subjects: Some(vec![subject(key, settings)]),
            }
        })
        .collect()
}

fn role_ref(kind: &str, name: &str) -> RoleRef {
    RoleRef {
        api_group: "rbac.authorization.k8s.io".into(),
        kind: kind.into(),
        name: name.into(),
    }
}

fn subject(key: &NamespacedName, settings: &Settings) -> Subject {
    Subject {
        kind: "ServiceAccount".into(),
        name: names::forwarder_workload(&key.name),
        namespace: Some(settings.connector_namespace.clone()),
        ..Subject::default()
    }
}
