//! Step 5: writes the status, if it has changed, and tells the user in an Event what matters.

mod conditions;
mod events;
#[cfg(test)]
mod tests;
mod words;

use extconn_api::names::field_manager;
use extconn_api::{ExternalService, ExternalServiceStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, Patch, PatchParams};
use kube::{Resource, ResourceExt};
use serde_json::json;

use crate::controller::Context;
use crate::reconcile::apply::Applied;
use crate::reconcile::apply::write::failure;
use crate::reconcile::error::{Error, is_not_found};
use crate::reconcile::observe::Observed;
use crate::reconcile::ownership;
use crate::reconcile::validate::Validated;

/// Writes what has become of the ExternalService. `applied` of `None`: there was nothing to do.
pub async fn update(
    observed: &Observed,
    validated: &Validated,
    applied: Result<&Option<Applied>, &Error>,
    context: &Context,
) -> Result<(), Error> {
    let external_service = &*observed.external_service;
    let now = Time(Timestamp::now());
    let old = external_service.status.clone().unwrap_or_default();
    let conditions =
        conditions::conditions(&old.conditions, validated, applied, &observed.pods, &now);
    let new = ExternalServiceStatus {
        observed_generation: validated.generation,
        source_ips: Some(words::source_ips(&external_service.spec.sources)),
        conditions,
    };
    if new == old {
        return Ok(());
    }
    match write(external_service, &new, context).await {
        // Deleted meanwhile: nobody is left to tell.
        Err(Error::Request { source, .. }) if is_not_found(&source) => return Ok(()),
        result => result?,
    }
    for event in events::events(&old, &new) {
        let reference = external_service.object_ref(&());
        if let Err(error) = context.recorder.publish(&event, &reference).await {
            // An Event is a courtesy: the conditions say the same.
            tracing::warn!(%error, "failed to publish an Event");
        }
    }
    Ok(())
}

async fn write(
    external_service: &ExternalService,
    status: &ExternalServiceStatus,
    context: &Context,
) -> Result<(), Error> {
    let api: Api<ExternalService> = context.namespaced(&ownership::key(external_service).namespace);
    let patch = json!({
        "apiVersion": ExternalService::api_version(&()),
        "kind": ExternalService::kind(&()),
        "metadata": {"name": external_service.name_any()},
        "status": status,
    });
    let parameters = PatchParams::apply(field_manager::OPERATOR).force();
    api.patch_status(
        &external_service.name_any(),
        &parameters,
        &Patch::Apply(patch),
    )
    .await
    .map_err(failure("write the status of", external_service))?;
    Ok(())
}
