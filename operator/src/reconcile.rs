//! From an ExternalService to a working connection, in five steps: observe, validate, build,
//! apply, status. Validate and build are pure: they are handed no client.

pub mod apply;
mod build;
mod connection;
mod error;
#[cfg(test)]
mod fixtures;
mod observe;
pub mod ownership;
mod status;
pub mod tear_down;
pub mod validate;

use std::sync::Arc;
use std::time::Duration;

use extconn_api::{ExternalService, names};
use kube::Api;
use kube::runtime::controller::Action;
use kube::runtime::finalizer::{self, Event, finalizer};

use crate::controller::Context;
pub use apply::write::{Written, apply_as, delete, put};
use tear_down::tear_down;

pub use error::{Error, Errors, is_not_found};

/// How long an object that nobody touches is left alone.
const RESYNC: Duration = Duration::from_secs(600);

/// Brings the cluster in line with one ExternalService.
pub async fn reconcile(
    external_service: Arc<ExternalService>,
    context: Arc<Context>,
) -> Result<Action, Error> {
    context.stores.wait_until_ready().await?;
    let api: Api<ExternalService> =
        context.namespaced(&ownership::key(&*external_service).namespace);
    let action = finalizer(&api, names::FINALIZER, external_service, |event| async {
        match event {
            Event::Apply(external_service) => set_up(external_service, &context).await,
            Event::Cleanup(external_service) => remove(external_service, &context).await,
        }
    })
    .await;
    match action {
        // Gone already: what was removed for it has triggered this once more.
        Err(finalizer::Error::RemoveFinalizer(error)) if is_not_found(&error) => {
            Ok(Action::await_change())
        }
        result => result.map_err(|error| Error::Finalizer(Box::new(error))),
    }
}

async fn set_up(
    external_service: Arc<ExternalService>,
    context: &Context,
) -> Result<Action, Error> {
    let observed = observe::observe(external_service, &context.stores);
    let validated = validate::validate(&observed, &context.settings.trust);
    let desired = build::build(&validated, &observed.gateways, &context.settings);
    let applied = apply::apply(desired, &observed, &validated, context).await;
    status::update(&observed, &validated, applied.as_ref(), context).await?;
    applied?;
    Ok(Action::requeue(RESYNC))
}

async fn remove(
    external_service: Arc<ExternalService>,
    context: &Context,
) -> Result<Action, Error> {
    let observed = observe::observe(external_service, &context.stores);
    let validated = validate::validate(&observed, &context.settings.trust);
    let gateways = observed.gateway_names();
    match tear_down(&validated.key, &validated.name_holder, &gateways, context).await {
        // The connector namespace is being deleted, and what permits us to look went first. The
        // watches that still run have seen the rest go.
        Err(error) if error.is_forbidden() && !apply::anything_left(&observed, &validated) => {}
        result => result?,
    }
    Ok(Action::await_change())
}
