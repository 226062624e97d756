//! Objects made for an ExternalService that is gone without our doing: its finalizer was taken
//! off by hand, or it was deleted while CRDs were removed and restored. Nothing triggers a
//! reconcile for them, so they are looked for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use extconn_api::{ExternalService, NamespacedName};
use kube::{Api, ResourceExt};
use tokio::time::interval;

use crate::controller::Context;
use crate::controller::stores::Stores;
use crate::reconcile::apply::gateways;
use crate::reconcile::apply::write::delete_unchanged;
use crate::reconcile::ownership::{self, made_for};
use crate::reconcile::tear_down::tear_down;
use crate::reconcile::validate::NameHolder;
use crate::reconcile::{Error, Errors};

/// How often is looked. It reads no API unless something is found.
const PERIOD: Duration = Duration::from_secs(60);

/// Removes orphans for ever.
pub async fn sweep(context: Arc<Context>) {
    if context.stores.wait_until_ready().await.is_err() {
        return;
    }
    let mut period = interval(PERIOD);
    loop {
        period.tick().await;
        if let Err(error) = remove_orphans(&context).await {
            tracing::warn!(%error, "failed to remove orphans, trying again");
        }
    }
}

async fn remove_orphans(context: &Context) -> Result<(), Error> {
    let mut errors = Errors::default();
    for owner in orphaned_owners(&context.stores) {
        let api: Api<ExternalService> = context.namespaced(&owner.namespace);
        let found = api.get_metadata_opt(&owner.name).await;
        let found = found.map_err(|source| Error::Request {
            verb: "read",
            object: format!("ExternalService {owner}"),
            source,
        });
        match found {
            // The watch is behind.
            Ok(Some(_)) => {}
            Ok(None) => {
                tracing::info!(external_service = %owner, "removing what was made for it");
                let holder = name_holder(&owner, &context.stores);
                let gateways = granting(&owner.name, &context.stores);
                errors.note(tear_down(&owner, &holder, &gateways, context).await);
            }
            Err(error) => errors.note::<()>(Err(error)),
        }
    }
    let names = external_service_names(&context.stores);
    for gateway in context.stores.gateways.state() {
        for grant in gateway
            .spec
            .forwarders
            .iter()
            .filter(|grant| !names.contains(&grant.name))
        {
            tracing::info!(
                forwarder = grant.name,
                gateway = gateway.name_any(),
                "revoking"
            );
            errors.note(gateways::revoke(&context.connector(), &gateway, &grant.name).await);
        }
    }
    for gateway in context.stores.gateways.state() {
        if gateway.spec.forwarders.is_empty() && !gateways::is_reserved(&gateway) {
            tracing::info!(gateway = gateway.name_any(), "removing, nobody uses it");
            errors.note(delete_unchanged(&context.connector(), &*gateway).await);
        }
    }
    errors.into_result()
}

/// Owners named by some object that do not exist as far as the watches know.
fn orphaned_owners(stores: &Stores) -> BTreeSet<NamespacedName> {
    let mut owners = BTreeSet::new();
    owners.extend(
        stores
            .forwarders
            .state()
            .iter()
            .filter_map(|o| made_for(&**o)),
    );
    owners.extend(
        stores
            .services
            .state()
            .iter()
            .filter_map(|o| made_for(&**o)),
    );
    owners.extend(
        stores
            .deployments
            .state()
            .iter()
            .filter_map(|o| made_for(&**o)),
    );
    owners.extend(
        stores
            .disruption_budgets
            .state()
            .iter()
            .filter_map(|o| made_for(&**o)),
    );
    owners.extend(
        stores
            .service_accounts
            .state()
            .iter()
            .filter_map(|o| made_for(&**o)),
    );
    owners.extend(stores.roles.state().iter().filter_map(|o| made_for(&**o)));
    owners.extend(
        stores
            .role_bindings
            .state()
            .iter()
            .filter_map(|o| made_for(&**o)),
    );
    for external_service in stores.external_services.state() {
        owners.remove(&ownership::key(&*external_service));
    }
    owners
}

fn external_service_names(stores: &Stores) -> BTreeSet<String> {
    stores
        .external_services
        .state()
        .iter()
        .map(|es| es.name_any())
        .collect()
}

/// Whether grants of this name may go with the orphan, or belong to another by now.
fn name_holder(orphan: &NamespacedName, stores: &Stores) -> NameHolder {
    match stores
        .external_services
        .find(|es| es.name_any() == orphan.name)
    {
        Some(holder) => NameHolder::Another(ownership::key(&*holder)),
        None => NameHolder::Itself,
    }
}

/// Names of the Gateways that have a grant of this name.
fn granting(name: &str, stores: &Stores) -> BTreeSet<String> {
    let all = stores.gateways.state();
    let granting = all
        .iter()
        .filter(|gateway| gateways::has_grant(gateway, name));
    granting.map(|gateway| gateway.name_any()).collect()
}
