//! The way out of one source Service: gateway connections for each replica, and a pod's own.

use extconn_api::external_service::Port;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::Api;

use super::Asked;
use super::dialled::{self, Dialled};
use super::hop::{Hop, Outcome};
use super::objects::is_ready;
use super::observe::Observed;
use super::pod_run::{self, Brought};
use super::probe_pod::ProbePod;
use super::replica::{self, NoAnswer, Opened};
use super::seen;
use super::target::Attempt;
use super::watch::{self, Watched};
use crate::cluster::Cluster;
use crate::cluster::pods::PROBE_PREFIX;
use crate::expose::service_key;
use crate::terminal::progress::Step;

/// Hops without which no pod can get through; the pod is not even made when one has failed.
const NEEDED: [&str; 5] = ["tunnel", "gateway", "source-ip", "target", "forwarder"];

fn ready_replicas(seen: &Observed) -> impl Iterator<Item = &Pod> {
    seen.replicas.iter().filter(|pod| is_ready(pod))
}

/// Has every replica's gateway connect from every source IP to every port; `None` if there is no
/// replica to ask.
pub(crate) async fn attempts(pods: &Api<Pod>, seen: &Observed) -> Option<Vec<Attempt>> {
    let spec = &seen.external_service.spec;
    let mut asked = Vec::new();
    for replica in ready_replicas(seen) {
        for source in &spec.sources {
            for port in &spec.ports {
                let destination = format!("{}:{}", spec.target_ip, port.port);
                asked.push(async move {
                    let answer =
                        replica::probe(pods, replica, &source.source_ip, &destination).await;
                    Attempt {
                        replica: replica.name_any(),
                        source_ip: source.source_ip.clone(),
                        destination,
                        answer,
                    }
                });
            }
        }
    }
    if asked.is_empty() {
        None
    } else {
        Some(futures::future::join_all(asked).await)
    }
}

/// What a pod dials.
fn dialled_port(port: &Port) -> u16 {
    port.target_port.unwrap_or(port.port)
}

/// The hops that only a pod can prove.
pub(crate) async fn from_a_pod(
    asked: &Asked<'_>,
    cluster: &Cluster,
    pods: &Api<Pod>,
    seen: &Observed,
    index: usize,
    before: &[Hop],
    step: &Step,
) -> Vec<Hop> {
    const NAMES: [&str; 2] = ["dns", "pod-to-forwarder"];
    let not = |hop: fn(&'static str, &str) -> Hop, why: &str| {
        NAMES.iter().map(|name| hop(name, why)).collect()
    };
    if !asked.pod {
        return not(
            |name, why| Hop::not_asked(name, "", why),
            "left out by --no-pod",
        );
    }
    if ready_replicas(seen).next().is_none() {
        return not(
            |name, why| Hop::not_tried(name, "", why),
            "no forwarder is ready",
        );
    }
    if let Some(failed) = before
        .iter()
        .find(|hop| hop.outcome == Outcome::Failed && NEEDED.contains(&hop.name))
    {
        let why = format!("the hop {} has failed", failed.name);
        return not(|name, why| Hop::not_tried(name, "", why), &why);
    }
    let Some(probe) = probe_pod(asked, seen, index) else {
        let source = &seen.external_service.spec.sources[index];
        let why = format!(
            "Service {} has no selector, so no pod can be put behind it",
            service_key(&seen.external_service, source)
        );
        let hop = |name| {
            Hop::not_proven(
                name,
                "",
                why.clone(),
                "connect from one of its pods by hand",
            )
        };
        return NAMES.into_iter().map(hop).collect();
    };
    let work = pod_run::run(cluster, &probe, step, asked.timeout);
    let (brought, watched) = match &asked.target {
        Some(target) => {
            let ports: Vec<u16> = seen
                .external_service
                .spec
                .ports
                .iter()
                .map(|port| port.port)
                .collect();
            let (brought, watched) = watch::while_watched(target, &ports, work).await;
            (brought, Some(watched))
        }
        None => (work.await, None),
    };
    match brought {
        Ok(brought) => judge(asked, pods, seen, index, &brought, watched.as_ref()).await,
        Err(failure) => {
            let next = failure.next_step().unwrap_or("see whether pods can be made in that namespace, or leave this out with --no-pod").to_owned();
            NAMES
                .into_iter()
                .map(|name| Hop::not_proven(name, "", failure.message(), next.clone()))
                .collect()
        }
    }
}

fn probe_pod(asked: &Asked<'_>, seen: &Observed, index: usize) -> Option<ProbePod> {
    let object = &seen.external_service;
    let key = service_key(object, &object.spec.sources[index]);
    let selector = seen.services[index]
        .as_ref()?
        .spec
        .as_ref()?
        .selector
        .clone()?;
    let container = ready_replicas(seen)
        .next()?
        .spec
        .as_ref()?
        .containers
        .first()?
        .clone();
    let name = format!("{}.{}.svc", object.name_any(), seen.connector_namespace);
    let addresses = ready_replicas(seen).filter_map(|pod| pod.status.as_ref()?.pod_ip.clone());
    let hosts: Vec<String> = std::iter::once(name).chain(addresses).collect();
    let dial = object.spec.ports.iter().flat_map(|port| {
        hosts
            .iter()
            .map(move |host| format!("{host}:{}", dialled_port(port)))
    });
    Some(ProbePod {
        name: format!("{PROBE_PREFIX}{index}-{}", asked.run),
        namespace: key.namespace,
        selector,
        image: container.image?,
        pull_policy: container.image_pull_policy,
        dial: dial.collect(),
        http_get: asked.echo.map(str::to_owned),
        watched: asked.target.is_some(),
        run: asked.run.clone(),
    })
}

async fn judge(
    asked: &Asked<'_>,
    pods: &Api<Pod>,
    seen: &Observed,
    index: usize,
    brought: &Brought,
    watched: Option<&Watched>,
) -> Vec<Hop> {
    let object = &seen.external_service;
    let source_ip = &object.spec.sources[index].source_ip;
    let opened = opened(pods, seen, &brought.address).await;
    let front = seen
        .front
        .as_ref()
        .and_then(|front| front.spec.as_ref()?.cluster_ip.clone())
        .unwrap_or_default();
    let is_by_name = |line: &&Dialled| line.to.starts_with(&format!("{}.", object.name_any()));
    let mut hops = Vec::new();
    match brought.lines.iter().find(is_by_name) {
        Some(by_name) => hops.push(dialled::dns(by_name, &front)),
        None => hops.push(Hop::not_proven(
            "dns",
            "",
            "the probe pod did not dial the name",
            "report this",
        )),
    }
    for line in &brought.lines {
        if is_by_name(&line) && line.resolved.is_empty() {
            hops.push(Hop::not_tried(
                "pod-to-forwarder",
                line.to.clone(),
                "the name cannot be looked up",
            ));
            continue;
        }
        hops.push(dialled::arrival(line, source_ip, &opened));
    }
    if asked.echo.is_some() {
        let answered = brought.lines.iter();
        hops.extend(answered.map(|line| seen::hop(&line.to, source_ip, line.received.as_deref())));
    }
    hops.extend(watched.map(|watched| seen::hop_by_login(source_ip, watched)));
    if asked.echo.is_none() && watched.is_none() {
        hops.push(Hop::not_asked(
            "seen-by-target",
            "",
            "--echo PATH asks the external server for the caller's address, --target-ssh DESTINATION looks there",
        ));
    }
    hops
}

/// What all replicas say of the pod's connections, or why one does not answer.
async fn opened(pods: &Api<Pod>, seen: &Observed, address: &str) -> Result<Vec<Opened>, NoAnswer> {
    let asked = ready_replicas(seen).map(|replica| replica::flows(pods, replica, address));
    let answers = futures::future::try_join_all(asked).await?;
    Ok(answers.into_iter().flatten().collect())
}
