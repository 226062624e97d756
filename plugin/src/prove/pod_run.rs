//! Runs a probe pod to its end and takes it away again, also after Ctrl-C.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, LogParams, PostParams};

use super::dialled::{self, Dialled};
use super::probe_pod::{ProbePod, RUN_LABEL};
use crate::cluster::{Cluster, api, is_not_found, pods};
use crate::failure::Failure;
use crate::terminal::progress::Step;

/// How often is looked whether the pod has ended.
const LOOK: Duration = Duration::from_millis(300);

/// Age at which what a run made is no longer in use: longer than a probe pod may live.
const STALE_SECONDS: i64 = 600;

/// What a probe pod brought back.
#[derive(Clone, Debug)]
pub(crate) struct Brought {
    /// Its address.
    pub address: String,
    /// What its dialler said.
    pub lines: Vec<Dialled>,
}

/// Makes the pod and waits until it has ended. Nothing is taken away here: see [`remove`].
///
/// # Errors
/// It may not be made, does not start, or says nothing that can be understood.
pub(crate) async fn run(
    cluster: &Cluster,
    probe: &ProbePod,
    step: &Step,
    timeout: Duration,
) -> Result<Brought, Failure> {
    let owners: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), &probe.namespace);
    let all: Api<Pod> = Api::namespaced(cluster.client.clone(), &probe.namespace);
    let owner = owners.create(&PostParams::default(), &probe.owner()).await;
    let owner = owner.map_err(api(format_args!(
        "make ConfigMap {}/{}",
        probe.namespace, probe.name
    )))?;
    let pod = probe.pod(&owner.uid().unwrap_or_default());
    let made = all.create(&PostParams::default(), &pod).await;
    made.map_err(api(format_args!(
        "make pod {}/{}",
        probe.namespace, probe.name
    )))?;

    let deadline = tokio::time::Instant::now() + timeout;
    let ended = loop {
        let pod = all.get(&probe.name).await.map_err(api(format_args!(
            "read pod {}/{}",
            probe.namespace, probe.name
        )))?;
        let phase = pod
            .status
            .as_ref()
            .and_then(|status| status.phase.clone())
            .unwrap_or_default();
        if ["Succeeded", "Failed"].contains(&phase.as_str()) {
            break pod;
        }
        let why = pods::trouble(&pod).unwrap_or_else(|| format!("pod {} is {phase}", probe.name));
        if tokio::time::Instant::now() >= deadline || pods::is_hopeless(&pod) {
            return Err(Failure::failed(format!(
                "the probe pod in namespace {} does not run: {why}",
                probe.namespace
            )));
        }
        step.waiting_for(&why);
        tokio::time::sleep(LOOK).await;
    };
    let log = all.logs(&probe.name, &LogParams::default()).await;
    let log = log.map_err(api(format_args!(
        "read the log of pod {}/{}",
        probe.namespace, probe.name
    )))?;
    let lines = dialled::parse(&log);
    if lines.is_empty() {
        let said = log.lines().next_back().unwrap_or("nothing");
        return Err(Failure::failed(format!(
            "the probe pod says nothing that can be understood: {said}"
        ))
        .next("upgrade the cluster with `kubectl extconn init`"));
    }
    let address = ended
        .status
        .and_then(|status| status.pod_ip)
        .unwrap_or_default();
    Ok(Brought { address, lines })
}

/// Takes away what a run that was killed has left in a namespace: what is older than a probe pod
/// may live. A run that is under way elsewhere keeps what it has.
///
/// # Errors
/// The API server's refusal.
pub(crate) async fn remove_stale(cluster: &Cluster, namespace: &str) -> Result<(), Failure> {
    let owners: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), namespace);
    let of_any_run = ListParams::default().labels(RUN_LABEL);
    let found = owners.list_metadata(&of_any_run).await;
    let found = found.map_err(api(format_args!(
        "list what earlier tests left in namespace {namespace}"
    )))?;
    let now = jiff::Timestamp::now();
    for owner in found.items {
        let age = owner
            .metadata
            .creation_timestamp
            .as_ref()
            .map_or(0, |made| now.duration_since(made.0).as_secs());
        if let (true, Some(run)) = (age > STALE_SECONDS, owner.labels().get(RUN_LABEL)) {
            remove(cluster, namespace, run).await?;
        }
    }
    Ok(())
}

/// Takes away everything of this run in a namespace, whatever has become of it.
///
/// # Errors
/// The API server's refusal.
pub(crate) async fn remove(cluster: &Cluster, namespace: &str, run: &str) -> Result<(), Failure> {
    let of_run = ListParams::default().labels(&format!("{RUN_LABEL}={run}"));
    let at_once = DeleteParams {
        grace_period_seconds: Some(0),
        ..DeleteParams::background()
    };
    let all: Api<Pod> = Api::namespaced(cluster.client.clone(), namespace);
    gone(
        all.delete_collection(&at_once, &of_run).await.map(drop),
        "probe pods",
        namespace,
    )?;
    let owners: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), namespace);
    gone(
        owners
            .delete_collection(&DeleteParams::background(), &of_run)
            .await
            .map(drop),
        "their owners",
        namespace,
    )
}

fn gone(result: Result<(), kube::Error>, what: &str, namespace: &str) -> Result<(), Failure> {
    match result {
        Ok(()) => Ok(()),
        Err(error) if is_not_found(&error) => Ok(()),
        Err(error) => Err(api(format_args!("remove the {what} in namespace {namespace}"))(error)
            .next(format!("remove them by hand: `kubectl -n {namespace} delete pods,configmaps -l {RUN_LABEL}`"))),
    }
}
