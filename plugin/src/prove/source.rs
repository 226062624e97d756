//! The way out of one source Service: gateway connections for each replica, and a pod's own.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::Api;

use super::hop::{Hop, Outcome};
use super::objects::is_ready;
use super::observe::Observed;
use super::pod_run::{self, Brought};
use super::probe_pod::ProbePod;
use super::replica;
use super::seen;
use super::target::Attempt;
use super::watch::{self, Watched};
use super::{Asked, behind, dialled};
use crate::cluster::Cluster;
use crate::terminal::progress::Step;

/// Hops without which no pod can get through; the pod is not even made when one has failed.
const NEEDED: [&str; 5] = ["tunnel", "gateway", "source-ip", "target", "forwarder"];

/// Pods of the forwarder that can be asked.
pub(crate) fn ready_replicas(seen: &Observed) -> impl Iterator<Item = &Pod> {
    seen.replicas.iter().filter(|pod| is_ready(pod))
}

/// Has every replica's gateway connect from every source IP to every port.
pub(crate) async fn attempts(pods: &Api<Pod>, seen: &Observed) -> Vec<Attempt> {
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
    futures::future::join_all(asked).await
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
    let target = asked.target_of(&seen.external_service);
    let probe = match behind::probe_pod(asked, seen, index) {
        Ok(probe) => probe,
        Err(why) => {
            let next = "connect from one of its pods by hand";
            let hop = |name| Hop::not_proven(name, "", why.clone(), next);
            return NAMES.into_iter().map(hop).collect();
        }
    };
    let work = pod_run::run(cluster, &probe, &asked.made, step, asked.timeout);
    let (brought, watched) = match target {
        Some(target) => {
            let ports: Vec<u16> = seen
                .external_service
                .spec
                .ports
                .iter()
                .map(|port| port.port)
                .collect();
            let (brought, watched) = watch::while_watched(&target.ssh, &ports, work).await;
            (brought, Some(watched))
        }
        None => (work.await, None),
    };
    match brought {
        Ok(brought) => {
            let hops = judge(
                asked,
                pods,
                seen,
                index,
                (&probe, &brought),
                watched.as_ref(),
            )
            .await;
            // Whatever stays is told of at the end of the run.
            let _ = pod_run::remove(cluster, &probe.namespace, &probe.name).await;
            hops
        }
        Err(failure) => {
            let next = failure.next_step().unwrap_or("see whether pods can be made in that namespace, or leave this out with --no-pod").to_owned();
            NAMES
                .into_iter()
                .map(|name| Hop::not_proven(name, "", failure.message(), next.clone()))
                .collect()
        }
    }
}

/// Whether a gateway still does something for a forwarder of this source IP.
pub(crate) async fn does_gateway_answer(pods: &Api<Pod>, seen: &Observed, source_ip: &str) -> bool {
    let spec = &seen.external_service.spec;
    let destination = format!("{}:{}", spec.target_ip, spec.ports[0].port);
    let asked =
        ready_replicas(seen).map(|replica| replica::probe(pods, replica, source_ip, &destination));
    let answers = futures::future::join_all(asked).await;
    let is_alive = |result: &str| !["no_tunnel", "tunnel_lost"].contains(&result);
    answers
        .into_iter()
        .any(|answer| answer.is_ok_and(|probed| is_alive(&probed.result)))
}

async fn judge(
    asked: &Asked<'_>,
    pods: &Api<Pod>,
    seen: &Observed,
    index: usize,
    (probe, brought): (&ProbePod, &Brought),
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
    let is_by_name = |to: &str| to.starts_with(&format!("{}.", object.name_any()));
    // Who reaches nothing at all does not reach DNS either.
    let is_cut_off = brought.lines.iter().all(|line| line.local.is_none())
        && brought.lines.iter().any(|line| !is_by_name(&line.to));
    let mut hops = Vec::new();
    match brought.lines.iter().find(|line| is_by_name(&line.to)) {
        Some(by_name) if by_name.resolved.is_empty() && is_cut_off => hops.push(Hop::not_tried(
            "dns",
            "",
            "the pod reaches nothing: see pod-to-forwarder",
        )),
        Some(by_name) => hops.push(dialled::dns(by_name, &front)),
        None => {}
    }
    for to in &probe.dial {
        hops.push(match brought.lines.iter().find(|line| line.to == *to) {
            None => Hop::not_proven(
                "pod-to-forwarder",
                to.clone(),
                "the probe pod ended before it said how this went",
                "give it more time with --timeout, and run this again",
            ),
            Some(line) if is_by_name(to) && line.resolved.is_empty() => Hop::not_tried(
                "pod-to-forwarder",
                to.clone(),
                "the name cannot be looked up",
            ),
            Some(line) => dialled::arrival(line, source_ip, &opened),
        });
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

/// What all replicas say of the pod's connections.
async fn opened(pods: &Api<Pod>, seen: &Observed, address: &str) -> dialled::Asked {
    let asked = ready_replicas(seen).map(|replica| replica::flows(pods, replica, address));
    let mut answers = dialled::Asked::default();
    for answer in futures::future::join_all(asked).await {
        match answer {
            Ok(opened) => answers.opened.extend(opened),
            Err(why) => answers.missing = Some(why),
        }
    }
    answers
}
