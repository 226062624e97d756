//! Proves the path of one ExternalService.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;

use super::hop::{Hop, Outcome, PathReport, Stretch};
use super::observe::{self, Observed};
use super::target::{self, Attempt};
use super::way_in::{self, Tables};
use super::{Asked, objects, source, stale};
use crate::cluster::Cluster;
use crate::cluster::gateway_hosts::GatewayHost;
use crate::expose::service_key;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::status::observe::described;
use crate::terminal::progress::Step;

/// How long the objects may take to tell what an attempt has met: it is their words that name the
/// cause best.
const CATCH_UP: Duration = Duration::from_secs(5);

/// Between two looks at them.
const LOOK: Duration = Duration::from_millis(300);

/// Goes along the path, one stretch for each source.
///
/// # Errors
/// The API server's refusal.
pub(super) async fn prove(
    invocation: &Invocation,
    asked: &Asked<'_>,
    cluster: &Cluster,
    known: &[GatewayHost],
    mut seen: Observed,
) -> Result<PathReport, Failure> {
    let object = seen.external_service.clone();
    let name = described(&object);
    let ingress = asked.ingress && object.spec.bidirectional;
    let pods: Api<Pod> = Api::namespaced(
        cluster.unhurried(&invocation.kubectl)?.client,
        &seen.connector_namespace,
    );
    // First of all, because a gateway repairs within seconds what is wrong with its rules.
    let tables: Option<Tables> = if ingress && asked.gateway_ssh {
        Some(way_in::tables(invocation, asked, known, &seen).await)
    } else {
        None
    };
    let mut attempts = Vec::new();
    if asked.egress {
        let step = Step::begin(
            invocation.terminal,
            format!("{name}: from the gateways to {}", object.spec.target_ip),
        );
        attempts = source::attempts(&pods, &seen).await;
        seen = caught_up(cluster, seen, &attempts).await?;
        drop(step);
    }
    let mut stretches = vec![Stretch {
        title: name.clone(),
        hops: objects::shared(&seen),
    }];
    for (index, source) in object.spec.sources.iter().enumerate() {
        let service = service_key(&object, source);
        let title = format!("{service} as {}", source.source_ip);
        let step = Step::begin(invocation.terminal, format!("{name}: {title}"));
        let mut hops = objects::of_source(&seen, index, ingress);
        stale::correct(&mut hops, &source.source_ip, &attempts);
        hops.extend(target::hops(&source.source_ip, &attempts));
        if asked.egress {
            hops.extend(
                source::from_a_pod(asked, cluster, &pods, &seen, index, &hops, &step).await,
            );
        }
        if ingress {
            hops.extend(ways_in(asked, &pods, &seen, index, tables.as_ref()).await);
        }
        drop(step);
        stretches.push(Stretch { title, hops });
    }
    if asked.only_ingress && !is_way_in_seen(&stretches) {
        let why = if object.spec.bidirectional {
            "nothing of the way in was looked at"
        } else {
            "there is no way in: spec.bidirectional is false"
        };
        let next = "ask for it with ssh to the gateway host, or with --target-ssh DESTINATION";
        let hop = Hop::not_proven("nat-rule", "", why, next);
        stretches[0].hops.push(hop);
    }
    Ok(PathReport::new(name, stretches))
}

fn is_way_in_seen(stretches: &[Stretch]) -> bool {
    let mut hops = stretches.iter().flat_map(|stretch| &stretch.hops);
    hops.any(|hop| {
        ["nat-rule", "from-target"].contains(&hop.name) && hop.outcome != Outcome::NotAsked
    })
}

/// The objects, once they tell of what the attempts have met, or after a while.
async fn caught_up(
    cluster: &Cluster,
    mut seen: Observed,
    attempts: &[Attempt],
) -> Result<Observed, Failure> {
    let deadline = tokio::time::Instant::now() + CATCH_UP;
    let is_stale = |seen: &Observed| {
        let mut sources = seen.external_service.spec.sources.iter().enumerate();
        sources.any(|(index, source)| {
            let hops = objects::of_source(seen, index, false);
            stale::is_stale(&hops, &source.source_ip, attempts)
        })
    };
    while is_stale(&seen) && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(LOOK).await;
        let connector = seen.connector_namespace.clone();
        seen = observe::observe(cluster, &connector, seen.external_service).await?;
    }
    Ok(seen)
}

async fn ways_in(
    asked: &Asked<'_>,
    pods: &Api<Pod>,
    seen: &Observed,
    index: usize,
    tables: Option<&Tables>,
) -> Vec<Hop> {
    let mut hops = Vec::new();
    for way in way_in::ways(seen, index) {
        let from_target = match asked.target_of(&seen.external_service) {
            Some(target) => way_in::from_target(&target.ssh, pods, seen, &way).await,
            None => Hop::not_asked(
                "from-target",
                format!("{}:{}", way.source_ip, way.port),
                match asked.target {
                    Some(_) => "the login of --target-ssh is on another external server",
                    None => "--target-ssh DESTINATION connects from the external server",
                },
            ),
        };
        let mut rule = way_in::rule_hop(&way, tables);
        if rule.outcome == Outcome::NotProven && from_target.outcome == Outcome::Proven {
            rule = Hop::proven(
                "nat-rule",
                rule.of,
                "a connection from the target got through",
            );
        }
        hops.extend([rule, from_target]);
    }
    hops
}
