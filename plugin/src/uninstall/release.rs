//! Removes the helm release, and watches the chart's clean-up meanwhile: helm would only wait for
//! a pod that never starts.

use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams};

use super::carry_out::Work;
use super::{hook, surroundings};
use crate::cluster::{api, is_not_found, pods};
use crate::failure::Failure;
use crate::helm::Hook;
use crate::terminal::progress::Step;

/// The clean-up's Job, as the chart names it.
const JOB: &str = "extconn-cleanup";

/// Labels of its pods.
const LABELS: &str = "app.kubernetes.io/name=extconn,app.kubernetes.io/component=cleanup";

/// How often is looked at the pods.
const LOOK: Duration = Duration::from_millis(500);

/// Removes the release.
///
/// # Errors
/// What helm said, or why the clean-up cannot run; then the release is as it was.
pub(super) async fn remove(work: &Work<'_>, hook: Hook, step: &Step) -> Result<(), Failure> {
    match hook {
        Hook::Runs => with_clean_up(work, step).await,
        Hook::Skipped => without_clean_up(work).await,
    }
}

async fn without_clean_up(work: &Work<'_>) -> Result<(), Failure> {
    // What an interrupted run has left; helm does not count it among the release's objects.
    remove_job(work).await?;
    let done = work.helm.uninstall(Hook::Skipped, seconds(work)).await;
    done.map_err(|failure| {
        if failure.is_interrupted() || failure.next_step().is_some() {
            return failure;
        }
        failure.next("correct that, then run this again: it goes on where it stopped")
    })
}

async fn with_clean_up(work: &Work<'_>, step: &Step) -> Result<(), Failure> {
    let earlier: Vec<String> = pods_of_clean_up(work)
        .await
        .iter()
        .map(ResourceExt::name_any)
        .collect();
    // helm ends when its future is dropped.
    let why = tokio::select! {
        done = work.helm.uninstall(Hook::Runs, seconds(work)) => {
            return match done {
                Err(failure) if !failure.is_interrupted() && failure.next_step().is_none() => {
                    Err(failure.next(where_to_look(work).await))
                }
                done => done,
            };
        }
        why = hopeless(work, &earlier, step) => why,
    };
    // It may have waited long for an answer: the operator may have more to do by now.
    let counts = surroundings::counts(&work.cluster, &work.namespace).await?;
    if counts.held == 0 {
        return without_clean_up(work).await;
    }
    remove_job(work).await?;
    if let Some(installed) = &work.found.release {
        // `init` would clear away a release that is being uninstalled, and ExternalServices with
        // it. The failure that is told is the clean-up's.
        let _ = work.helm.reinstate(&installed.release).await;
    }
    Err(hook::never_starts(&work.namespace, &why))
}

/// Why a pod of the clean-up, other than those of `earlier` ones, never starts. Ends only then.
async fn hopeless(work: &Work<'_>, earlier: &[String], step: &Step) -> String {
    loop {
        let pods = pods_of_clean_up(work).await;
        let of_this_run = |pod: &&Pod| !earlier.contains(&pod.name_any());
        for pod in pods.iter().filter(of_this_run) {
            let Some(why) = pods::trouble(pod) else {
                continue;
            };
            if pods::is_hopeless(pod) {
                return why;
            }
            step.waiting_for(&why);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Empty also if they cannot be read: helm tells then how it goes.
async fn pods_of_clean_up(work: &Work<'_>) -> Vec<Pod> {
    let pods: Api<Pod> = Api::namespaced(work.cluster.client.clone(), &work.namespace);
    let found = pods.list(&ListParams::default().labels(LABELS)).await;
    found.map(|found| found.items).unwrap_or_default()
}

async fn remove_job(work: &Work<'_>) -> Result<(), Failure> {
    let jobs: Api<Job> = Api::namespaced(work.cluster.client.clone(), &work.namespace);
    match jobs.delete(JOB, &DeleteParams::background()).await {
        Err(error) if !is_not_found(&error) => Err(api(format_args!(
            "delete Job {}/{JOB}",
            work.namespace
        ))(error)),
        _ => Ok(()),
    }
}

/// Where the cause of a failure stands: in the log of the clean-up, if it has a pod.
async fn where_to_look(work: &Work<'_>) -> String {
    let namespace = &work.namespace;
    let see = if pods_of_clean_up(work).await.is_empty() {
        format!("kubectl -n {namespace} get jobs,pods,events")
    } else {
        format!("kubectl -n {namespace} logs job/{JOB}")
    };
    format!("see `{see}`, then run this again")
}

fn seconds(work: &Work<'_>) -> u64 {
    work.args.timeout.as_secs()
}
