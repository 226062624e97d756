//! Runs a probe pod to its end and takes it away again, also after Ctrl-C.

use std::collections::BTreeSet;
use std::sync::Mutex;
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

/// Namespaces and names of what a run has made, so that just that is taken away again.
#[derive(Debug, Default)]
pub(crate) struct Made(Mutex<BTreeSet<(String, String)>>);

impl Made {
    fn add(&self, probe: &ProbePod) {
        let key = (probe.namespace.clone(), probe.name.clone());
        self.0.lock().expect("nobody panics with it").insert(key);
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.lock().expect("nobody panics with it").len()
    }

    fn all(&self) -> Vec<(String, String)> {
        let made = self.0.lock().expect("nobody panics with it");
        made.iter().cloned().collect()
    }
}

/// Makes the pod and waits until it has ended. Nothing is taken away here: see [`remove_all`].
///
/// # Errors
/// It may not be made, does not start, or says nothing that can be understood.
pub(crate) async fn run(
    cluster: &Cluster,
    probe: &ProbePod,
    made: &Made,
    step: &Step,
    timeout: Duration,
) -> Result<Brought, Failure> {
    let owners: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), &probe.namespace);
    let all: Api<Pod> = Api::namespaced(cluster.client.clone(), &probe.namespace);
    let owner = owners.create(&PostParams::default(), &probe.owner()).await;
    // Whatever the API server has refused is not there.
    if !matches!(owner, Err(kube::Error::Api(_))) {
        made.add(probe);
    }
    let owner = owner.map_err(api(format_args!(
        "make ConfigMap {}/{}",
        probe.namespace, probe.name
    )))?;
    let pod = probe.pod(&owner.uid().unwrap_or_default());
    let created = all.create(&PostParams::default(), &pod).await;
    created.map_err(api(format_args!(
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
        // It is never ready, which is no trouble.
        let trouble = pods::trouble(&pod).filter(|_| phase != "Running");
        let why = trouble.unwrap_or_else(|| format!("pod {} is {phase}", probe.name));
        if tokio::time::Instant::now() >= deadline || pods::is_hopeless(&pod) {
            return Err(if phase == "Running" {
                Failure::failed(format!(
                    "the probe pod in namespace {} has not ended within {} s",
                    probe.namespace,
                    timeout.as_secs()
                ))
                .next("give it more time with --timeout")
            } else {
                Failure::failed(format!(
                    "the probe pod in namespace {} does not run: {why}",
                    probe.namespace
                ))
            });
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
        if age > STALE_SECONDS {
            remove(cluster, namespace, &owner.name_any()).await?;
        }
    }
    Ok(())
}

/// Takes away all that a run has made, whatever has become of it.
///
/// # Errors
/// Of each that the API server does not remove.
pub(crate) async fn remove_all(cluster: &Cluster, made: &Made) -> Vec<Failure> {
    let mut failures = Vec::new();
    for (namespace, name) in made.all() {
        failures.extend(remove(cluster, &namespace, &name).await.err());
    }
    failures
}

/// Takes away a probe pod and its owner, as far as they are there.
///
/// # Errors
/// The API server's refusal.
pub(crate) async fn remove(cluster: &Cluster, namespace: &str, name: &str) -> Result<(), Failure> {
    let at_once = DeleteParams {
        grace_period_seconds: Some(0),
        ..DeleteParams::background()
    };
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), namespace);
    let owners: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), namespace);
    let pod = pods.delete(name, &at_once).await.map(drop);
    // Its pod goes with it, should that be left.
    let owner = owners.delete(name, &DeleteParams::background()).await;
    let gone = |result: Result<(), kube::Error>, what: &str| match result {
        Err(error) if !is_not_found(&error) => {
            let next =
                format!("remove it by hand: `kubectl -n {namespace} delete pod,configmap {name}`");
            Err(api(format_args!("remove {what} {namespace}/{name}"))(error).next(next))
        }
        _ => Ok(()),
    };
    gone(pod, "pod").and(gone(owner.map(drop), "ConfigMap"))
}
