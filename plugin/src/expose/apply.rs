//! Applies an ExternalService and waits until it is ready.

use std::time::Duration;

use extconn_api::ExternalService;
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams};

use super::manifest::Manifest;
use super::readiness::{self, Progress};
use crate::cluster::{Cluster, FIELD_MANAGER, api};
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::terminal::progress::Step;

/// How often is looked whether it is ready.
const LOOK: Duration = Duration::from_millis(300);

/// Whether the API server keeps what it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// It does.
    Yes,
    /// It only says what would become of it.
    DryRun,
}

/// Applies the object as it is written; misspelt fields are refused.
///
/// # Errors
/// The API server's refusal.
pub(crate) async fn apply(
    cluster: &Cluster,
    manifest: &Manifest,
    keep: Keep,
) -> Result<ExternalService, Failure> {
    let namespace = manifest.object.namespace().unwrap_or_default();
    let name = manifest.object.name_any();
    let external_services: Api<ExternalService> =
        Api::namespaced(cluster.client.clone(), &namespace);
    let mut parameters = PatchParams::apply(FIELD_MANAGER)
        .force()
        .validation_strict();
    parameters.dry_run = keep == Keep::DryRun;
    let applied = external_services
        .patch(&name, &parameters, &Patch::Apply(&manifest.written))
        .await;
    applied.map_err(api(format_args!(
        "apply ExternalService {namespace}/{name}"
    )))
}

/// Waits until it is ready, showing its conditions.
///
/// # Errors
/// It waits for the user, it is deleted, or the time is up: with the condition's own words.
pub(crate) async fn wait_until_ready(
    invocation: &Invocation,
    cluster: &Cluster,
    object: &ExternalService,
    timeout: Duration,
) -> Result<(), Failure> {
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let external_services: Api<ExternalService> =
        Api::namespaced(cluster.client.clone(), &namespace);
    let step = Step::begin(
        invocation.terminal,
        format!("waiting for {namespace}/{name}"),
    );
    let deadline = tokio::time::Instant::now() + timeout;
    loop {
        let found = external_services
            .get_opt(&name)
            .await
            .map_err(api(format_args!("read {namespace}/{name}")))?;
        let Some(object) = found else {
            step.failed();
            return Err(Failure::failed(format!(
                "ExternalService {namespace}/{name} was deleted meanwhile"
            )));
        };
        let line = readiness::conditions(&object, invocation.terminal.talk);
        let waiting_for = match readiness::progress(&object) {
            Progress::Ready => {
                step.done(&format!("{namespace}/{name} is ready: {line}"));
                return Ok(());
            }
            Progress::Stuck { reason, message } => {
                step.failed();
                return Err(Failure::failed(format!("{namespace}/{name} cannot become ready: {reason}: {message}"))
                    .next("correct it and run the same command again; `kubectl extconn status` shows how it is"));
            }
            Progress::Waiting(message) => message,
        };
        if tokio::time::Instant::now() >= deadline {
            step.failed();
            let seconds = timeout.as_secs();
            return Err(Failure::failed(format!("{namespace}/{name} is not ready after {seconds} s: {line}; waiting for {waiting_for}"))
                .next(format!("`kubectl extconn check` looks for the cause; `kubectl extconn test {name} -n {namespace}` goes hop by hop")));
        }
        step.waiting_for(&format!("{line}  {waiting_for}"));
        tokio::time::sleep(LOOK).await;
    }
}
