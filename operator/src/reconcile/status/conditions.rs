//! Pure: when each condition of an ExternalService is true, and what to do if it is not.

use std::collections::BTreeSet;

use extconn_api::Gateway;
use extconn_api::condition::{
    self, ExternalServiceCondition as Type, ExternalServiceReason as Reason, GatewayCondition,
};
use extconn_api::forwarder::{ReplicaStatus, TunnelState};
use extconn_api::gateway::RefusedForwarder;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt;

use crate::reconcile::apply::Applied;
use crate::reconcile::apply::gateways::{Grant, Granted};
use crate::reconcile::connection::{Connection, Problem, SourceIp, Verdict};
use crate::reconcile::error::Error;
use crate::reconcile::ownership;
use crate::reconcile::status::words;
use crate::reconcile::validate::Validated;

/// `Ok`: the condition is true, and says so in these words. `Err`: why it is not.
type Judgement = Result<String, Problem>;

/// Whether the gateways had taken over this generation of the ExternalService before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Programmed,
    NotProgrammed,
}

/// The conditions that follow from what was really applied. `pods`: those of the forwarder that
/// exist; what others have reported does not count.
pub fn conditions(
    old: &[Condition],
    validated: &Validated,
    applied: Result<&Option<Applied>, &Error>,
    pods: &BTreeSet<String>,
    now: &Time,
) -> Vec<Condition> {
    let was_programmed =
        condition::is_true(old, &Type::Programmed.to_string(), validated.generation);
    let before = if was_programmed {
        Before::Programmed
    } else {
        Before::NotProgrammed
    };
    let judgements = judgements(validated, applied, before, pods);
    let mut conditions = old.to_vec();
    for (type_, judgement) in judgements {
        let (holds, reason, message) = match judgement {
            Ok(message) => (true, reason_of_true(type_), message),
            Err(Problem { reason, message }) => (false, reason, message),
        };
        let generation = validated.generation;
        condition::set(
            &mut conditions,
            condition::condition(type_, Some(holds), reason, message, generation, now.clone()),
        );
    }
    conditions
}

fn judgements(
    validated: &Validated,
    applied: Result<&Option<Applied>, &Error>,
    before: Before,
    pods: &BTreeSet<String>,
) -> [(Type, Judgement); 5] {
    let [accepted, sources_resolved, programmed, tunnels_established] = match &validated.verdict {
        Verdict::Refused(problem) => {
            let skipped = Problem::new(Reason::NotAccepted, "see the condition Accepted");
            [
                Err(problem.clone()),
                Err(skipped.clone()),
                Err(skipped.clone()),
                Err(skipped),
            ]
        }
        Verdict::Accepted(connection) => [
            Ok(words::accepted(connection)),
            sources_resolved(connection),
            set_up(applied).and_then(|applied| programmed(connection, applied, before)),
            set_up(applied).and_then(|applied| tunnels_established(connection, applied, pods)),
        ],
    };
    let ready = [
        &accepted,
        &sources_resolved,
        &programmed,
        &tunnels_established,
    ]
    .into_iter()
    .find_map(|judgement| judgement.clone().err())
    .map_or_else(|| Ok(ready(validated, applied)), Err);
    [
        (Type::Accepted, accepted),
        (Type::SourcesResolved, sources_resolved),
        (Type::Programmed, programmed),
        (Type::TunnelsEstablished, tunnels_established),
        (Type::Ready, ready),
    ]
}

fn reason_of_true(type_: Type) -> Reason {
    match type_ {
        Type::Accepted => Reason::Accepted,
        Type::SourcesResolved => Reason::SourcesResolved,
        Type::Programmed => Reason::Programmed,
        Type::TunnelsEstablished => Reason::TunnelsEstablished,
        Type::Ready => Reason::Ready,
    }
}

fn sources_resolved(connection: &Connection) -> Judgement {
    match connection.source_problems.as_slice() {
        [] => Ok(format!("{} can be sources", words::services(connection))),
        [first, ..] => {
            let messages = connection
                .source_problems
                .iter()
                .map(|p| p.message.as_str());
            Err(Problem::new(
                first.reason,
                messages.collect::<Vec<_>>().join("; "),
            ))
        }
    }
}

/// What was applied, or why nothing was.
fn set_up<'a>(applied: Result<&'a Option<Applied>, &Error>) -> Result<&'a Applied, Problem> {
    match applied {
        Ok(Some(applied)) => Ok(applied),
        Ok(None) => Err(Problem::new(
            Reason::NoSource,
            "none of the Services can be a source: see the condition SourcesResolved",
        )),
        Err(error) => Err(Problem::new(
            Reason::ApplyFailed,
            format!("{error}; trying again"),
        )),
    }
}

fn programmed(connection: &Connection, applied: &Applied, before: Before) -> Judgement {
    let Applied {
        deployment,
        gateways,
        forwarder,
    } = applied;
    for source_ip in connection.source_ips() {
        let forwarder = forwarder.metadata.name.as_deref().unwrap_or_default();
        gateway_programmed(source_ip, gateways.get(&source_ip), forwarder, before)?;
    }
    let status = deployment.status.as_ref();
    let is_current = status.and_then(|s| s.observed_generation) >= deployment.metadata.generation;
    let available = status.and_then(|s| s.available_replicas).unwrap_or(0);
    if !is_current || available < 1 {
        let key = ownership::key(deployment);
        return Err(Problem::new(
            Reason::ForwarderNotAvailable,
            format!(
                "no pod of Deployment {key} is available yet; if that lasts, see \
                 \"kubectl --namespace {} describe deployment {}\"",
                key.namespace, key.name
            ),
        ));
    }
    Ok("the gateways have taken over the current rules, and the forwarder runs".into())
}

fn gateway_programmed(
    source_ip: SourceIp,
    granted: Option<&Granted>,
    forwarder: &str,
    before: Before,
) -> Result<(), Problem> {
    let Some(Granted { gateway, grant }) = granted else {
        return Err(no_gateway(source_ip));
    };
    let Some(status) = &gateway.status else {
        return Err(no_gateway(source_ip));
    };
    if status.ssh_endpoint.is_none() || status.host_key.is_none() {
        return Err(no_gateway(source_ip));
    }
    let generation = gateway.metadata.generation;
    let host = host(gateway);
    let address = condition::find(&status.conditions, GatewayCondition::AddressAssigned);
    if let Some(address) = address.filter(|c| c.status == "False") {
        let says = &address.message;
        return Err(Problem::new(
            Reason::GatewayNotProgrammed,
            format!("gateway {host} does not have source IP {source_ip}: {says}"),
        ));
    }
    let refused = &status.refused_forwarders;
    let refused_here = refused.iter().find(|refused| refused.name == forwarder);
    if let Some(RefusedForwarder { name: _, message }) = refused_here
        && status.observed_generation == generation
    {
        return Err(Problem::new(
            Reason::GatewayNotProgrammed,
            format!(
                "gateway {host} does not carry out all for source IP {source_ip}: {message}; \
                 change the ExternalService, or let the host's administrator allow it in \
                 /etc/extconn/gateway.yaml"
            ),
        ));
    }
    // Neither a change for another ExternalService of this source IP nor what the host does not
    // let another do is a setback for this one.
    let others_refused = !refused.is_empty() && refused_here.is_none();
    let programmed = condition::find(&status.conditions, GatewayCondition::Programmed);
    let unchanged = before == Before::Programmed && *grant == Grant::Unchanged;
    if programmed.is_some_and(|c| {
        (c.status == "True" || others_refused) && (c.observed_generation == generation || unchanged)
    }) {
        return Ok(());
    }
    let silent = condition::find(&status.conditions, condition::GATEWAY_REPORTING);
    let says = GatewayCondition::ALL
        .iter()
        .filter_map(|type_| condition::find(&status.conditions, type_))
        .filter(|c| c.observed_generation == generation)
        .chain(silent)
        .find(|c| c.status != "True")
        .map_or("it has not answered yet", |c| c.message.as_str());
    Err(Problem::new(
        Reason::GatewayNotProgrammed,
        format!(
            "gateway {host} has not taken over the current rules of source IP {source_ip}: {says}; \
             if that lasts, see \"journalctl --unit extconn-gateway\" there"
        ),
    ))
}

fn no_gateway(source_ip: SourceIp) -> Problem {
    Problem::new(
        Reason::NoGateway,
        format!(
            "source IP {source_ip} is not held by any gateway: run \"kubectl extconn init\" for \
             the host that has it, or correct sourceIP"
        ),
    )
}

fn host(gateway: &Gateway) -> String {
    let status = gateway.status.as_ref();
    status
        .and_then(|s| s.host_name.clone())
        .unwrap_or_else(|| gateway.name_any())
}

fn tunnels_established(
    connection: &Connection,
    applied: &Applied,
    pods: &BTreeSet<String>,
) -> Judgement {
    let Applied {
        forwarder,
        gateways,
        deployment: _,
    } = applied;
    let replicas = forwarder.status.iter().flat_map(|s| &s.replicas);
    let replicas: Vec<&ReplicaStatus> = replicas
        .filter(|replica| pods.contains(&replica.pod_name))
        .collect();
    for source_ip in connection.source_ips() {
        let name = source_ip.to_string();
        let tunnels = replicas.iter().flat_map(|replica| &replica.tunnels);
        let tunnels: Vec<_> = tunnels.filter(|tunnel| tunnel.source_ip == name).collect();
        if tunnels.iter().any(|tunnel| tunnel.state == TunnelState::Up) {
            continue;
        }
        let host = gateways
            .get(&source_ip)
            .map(|granted| host(&granted.gateway))
            .unwrap_or_default();
        let says = tunnels.iter().find_map(|tunnel| tunnel.message.as_deref());
        return Err(Problem::new(
            Reason::TunnelDown,
            format!(
                "no forwarder has a tunnel to gateway {host} of source IP {source_ip}: {}",
                says.unwrap_or("none has reported on it yet")
            ),
        ));
    }
    Ok("a forwarder has a tunnel to each gateway".into())
}

fn ready(validated: &Validated, applied: Result<&Option<Applied>, &Error>) -> String {
    let (Verdict::Accepted(connection), Ok(Some(applied))) = (&validated.verdict, applied) else {
        return String::new();
    };
    let mut message = format!(
        "{} are connected with {}",
        words::services(connection),
        connection.target
    );
    let replicas = applied.forwarder.status.iter().flat_map(|s| &s.replicas);
    let nodes: BTreeSet<&String> = replicas.flat_map(|r| &r.refused_node_addresses).collect();
    if !nodes.is_empty() {
        let nodes = nodes
            .into_iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(", ");
        message.push_str(&format!(
            "; connections from the nodes {nodes} are refused, because the pods behind them \
             cannot be told apart: use pods outside the host network"
        ));
    }
    message
}
