//! Removes everything that was made for an ExternalService. It relies on no watch, which may be
//! behind, and needs nothing of the object but its name: one that was never accepted goes too.

use std::collections::BTreeSet;

use extconn_api::{Forwarder, Gateway, NamespacedName, names};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::Api;
use kube::api::ListParams;

use crate::controller::Context;
use crate::reconcile::apply::gateways::revoke;
use crate::reconcile::apply::write::{self, Written};
use crate::reconcile::error::{Error, Errors};
use crate::reconcile::ownership;
use crate::reconcile::validate::NameHolder;

/// Removes it all; what fails does not keep the rest from going.
///
/// Grants in Gateways go by name alone, so they are left to whoever holds the name. `gateways`:
/// names of those that may have one.
pub async fn tear_down(
    key: &NamespacedName,
    name_holder: &NameHolder,
    gateways: &BTreeSet<String>,
    context: &Context,
) -> Result<(), Error> {
    let workload = names::forwarder_workload(&key.name);
    let mut errors = Errors::default();
    // First what stops the traffic at once.
    match name_holder {
        NameHolder::Itself => errors.note(revoke_grants(key, gateways, context).await),
        NameHolder::Another(_) => {}
    }
    errors.note(delete_own::<Forwarder>(&context.connector(), &key.name, key).await);
    errors.note(delete_own::<Service>(&context.connector(), &key.name, key).await);
    errors.note(delete_own::<Deployment>(&context.connector(), &workload, key).await);
    errors.note(delete_own::<PodDisruptionBudget>(&context.connector(), &workload, key).await);
    errors.note(delete_bindings(key, context).await);
    errors.note(delete_own::<Role>(&context.connector(), &workload, key).await);
    errors.note(delete_own::<ServiceAccount>(&context.connector(), &workload, key).await);
    errors.into_result()
}

async fn revoke_grants(
    key: &NamespacedName,
    gateways: &BTreeSet<String>,
    context: &Context,
) -> Result<(), Error> {
    let api: Api<Gateway> = context.connector();
    let mut errors = Errors::default();
    for name in gateways {
        let gateway = api.get_opt(name).await.map_err(|source| Error::Request {
            verb: "read",
            object: format!("Gateway {name}"),
            source,
        });
        match gateway {
            Ok(Some(gateway)) => errors.note(revoke(&api, &gateway, &key.name).await),
            Ok(None) => {}
            Err(error) => errors.note::<()>(Err(error)),
        }
    }
    errors.into_result()
}

async fn delete_own<K: Written>(
    api: &Api<K>,
    name: &str,
    key: &NamespacedName,
) -> Result<(), Error> {
    let object = api.get_opt(name).await.map_err(|source| Error::Request {
        verb: "read",
        object: format!("{} {name}", K::kind(&())),
        source,
    })?;
    match object {
        Some(object) if ownership::is_made_for(&object, key) => write::delete(api, &object).await,
        _ => Ok(()),
    }
}

async fn delete_bindings(key: &NamespacedName, context: &Context) -> Result<(), Error> {
    let own = ListParams::default().labels(&ownership::owner_selector(key));
    let bindings: Api<RoleBinding> = Api::all(context.client.clone());
    let bindings = bindings.list(&own).await.map_err(|source| Error::Request {
        verb: "list",
        object: "RoleBindings".into(),
        source,
    })?;
    let mut errors = Errors::default();
    for binding in bindings {
        let api = context.namespaced(&ownership::key(&binding).namespace);
        errors.note(write::delete(&api, &binding).await);
    }
    errors.into_result()
}
