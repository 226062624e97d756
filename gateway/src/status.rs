//! Pure: what the gateway tells about itself in the status of a Gateway object.

use extconn_api::condition::{self, GatewayCondition, GatewayReason as Reason};
use extconn_api::gateway::RefusedForwarder;
use extconn_api::{GatewayStatus, names};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::build::{Claim, Refusal, Refused};

/// Where a source IP is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// On an interface.
    Present,
    /// On none; the administrator assigns it.
    Missing,
    /// On none; why the gateway could not assign it.
    AssignFailed(String),
}

/// Whether the configuration is in effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It is.
    Complete,
    /// Why it cannot be.
    Failed(String),
    /// Why forwarders cannot connect.
    NotListening(String),
}

/// What is true of the whole host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFacts {
    /// Its name.
    pub host_name: String,
    /// Its ssh server as forwarders reach it.
    pub ssh_endpoint: String,
    /// Its ssh host key.
    pub host_key: String,
    /// Whether the configuration is in effect.
    pub effect: Effect,
    /// Seconds by which its clock is ahead of the API server's; `None` before they were compared.
    pub clock_ahead: Option<i64>,
}

/// Seconds by which a host's clock may differ: what a round trip and a lazy clock come to.
const CLOCK_TOLERANCE: i64 = 30;

/// At most this many sentences about what is refused.
const SENTENCES: usize = 3;

/// The status of the object of `claim`. Conditions that do not flip keep their time in `previous`.
pub fn status(
    claim: &Claim,
    presence: &Presence,
    host: &HostFacts,
    previous: Option<&GatewayStatus>,
    now: &Time,
) -> GatewayStatus {
    let mut conditions = previous.map(|p| heard(p).conditions).unwrap_or_default();
    let (holds, reason, message) = address_assigned(claim, presence, host);
    let mut put = |type_, holds, reason, message| {
        let new =
            condition::condition(type_, holds, reason, message, claim.generation, now.clone());
        condition::set(&mut conditions, new);
    };
    put(GatewayCondition::AddressAssigned, holds, reason, message);
    let (holds, reason, message) = programmed(claim, host);
    put(GatewayCondition::Programmed, holds, reason, message);
    let (holds, reason, message) = clock_in_sync(host);
    put(GatewayCondition::ClockInSync, holds, reason, message);
    let in_effect = host.effect == Effect::Complete;
    let before = previous.and_then(|p| p.observed_generation);
    GatewayStatus {
        observed_generation: if in_effect { claim.generation } else { before },
        host_name: Some(host.host_name.clone()),
        ssh_endpoint: Some(host.ssh_endpoint.clone()),
        host_key: Some(host.host_key.clone()),
        allowed_namespaces: claim.reserved_for.clone(),
        refused_forwarders: if in_effect { refused(claim) } else { vec![] },
        conditions,
    }
}

/// One entry for each forwarder to whom something is refused, in the order of the spec.
fn refused(claim: &Claim) -> Vec<RefusedForwarder> {
    let mut refused: Vec<RefusedForwarder> = vec![];
    for Refused { forwarder, refusal } in &claim.refusals {
        let Some(forwarder) = forwarder else {
            continue;
        };
        match refused.iter_mut().find(|r| r.name == *forwarder) {
            Some(known) => {
                if known.message.matches("; ").count() + 1 < SENTENCES {
                    known.message += "; ";
                    known.message += refusal.sentence();
                }
            }
            None => refused.push(RefusedForwarder {
                name: forwarder.clone(),
                message: refusal.sentence().to_owned(),
            }),
        }
    }
    refused
}

/// The part of a status that a gateway writes, in the order in which it writes it.
pub fn heard(status: &GatewayStatus) -> GatewayStatus {
    let conditions = GatewayCondition::ALL.iter();
    let conditions = conditions
        .filter_map(|t| condition::find(&status.conditions, t))
        .cloned();
    GatewayStatus {
        conditions: conditions.collect(),
        ..status.clone()
    }
}

/// Whether the host `host_name` may write the status of an object that says `heard`. Of two hosts
/// that list one source IP, the one speaks that has it on an interface; where neither has it, the
/// one that spoke first.
pub fn speaks_for(host_name: &str, presence: &Presence, heard: Option<&GatewayStatus>) -> bool {
    let speaker = heard.and_then(|h| h.host_name.as_deref());
    *presence == Presence::Present || speaker.is_none_or(|speaker| speaker == host_name)
}

fn address_assigned(
    claim: &Claim,
    presence: &Presence,
    host: &HostFacts,
) -> (Option<bool>, Reason, String) {
    let (ip, name) = (claim.source_ip, &host.host_name);
    match presence {
        Presence::Present => (
            Some(true),
            Reason::Assigned,
            format!("{ip} is on host {name}"),
        ),
        Presence::Missing => (
            Some(false),
            Reason::AddressMissing,
            format!(
                "{ip} is on no interface of host {name}: assign it there, or let the gateway do \
                 so with assignTo in its host file"
            ),
        ),
        Presence::AssignFailed(reason) => (
            Some(false),
            Reason::AssignFailed,
            format!(
                "host {name} could not take {ip} and tries again: {reason}; set assignTo in its \
                 host file to an interface that can take it"
            ),
        ),
    }
}

fn programmed(claim: &Claim, host: &HostFacts) -> (Option<bool>, Reason, String) {
    let (ip, name) = (claim.source_ip, &host.host_name);
    match &host.effect {
        Effect::Failed(reason) => {
            let message = format!(
                "host {name} cannot put into effect what is specified for {ip}: {reason}; put that \
                 right there, it tries again by itself"
            );
            return (Some(false), Reason::ApplyFailed, message);
        }
        Effect::NotListening(reason) => {
            let message = format!(
                "host {name} cannot {reason}: stop what has the port there, or set sshListen in \
                 the host file; it tries again by itself"
            );
            return (Some(false), Reason::NotListening, message);
        }
        Effect::Complete => {}
    }
    let Some(first) = claim.refusals.first() else {
        let message = format!("host {name} carries out what is specified for {ip}");
        return (Some(true), Reason::Programmed, message);
    };
    let (reason, next) = match first.refusal {
        Refusal::Invalid(_) => (
            Reason::InvalidSpec,
            "the operator puts this object right while it runs: if it does run, report this",
        ),
        Refusal::NotAllowed(_) => (
            Reason::NotAllowed,
            "change the ExternalService, or what the host file there allows",
        ),
    };
    let message = format!("host {name} leaves out: {}; {next}", left_out(claim));
    (Some(false), reason, message)
}

/// What is refused, in some sentences and the number of the others.
fn left_out(claim: &Claim) -> String {
    let refusals = claim.refusals.iter();
    let sentences: Vec<_> = refusals
        .map(|refused| refused.refusal.sentence())
        .take(SENTENCES)
        .collect();
    let more = claim.refusals.len() - sentences.len();
    let rest = if more > 0 {
        format!("; and {more} more")
    } else {
        String::new()
    };
    format!("{}{rest}", sentences.join("; "))
}

fn clock_in_sync(host: &HostFacts) -> (Option<bool>, Reason, String) {
    let name = &host.host_name;
    let Some(ahead) = host.clock_ahead else {
        let message = format!(
            "the clock of host {name} was not compared with the API server's yet, which has not \
             taken its Lease {}: if that lasts, see \"journalctl --unit extconn-gateway\" there",
            names::gateway_lease(name)
        );
        return (None, Reason::NotCompared, message);
    };
    if ahead.abs() <= CLOCK_TOLERANCE {
        let message = format!("the clock of host {name} agrees with the API server's");
        return (Some(true), Reason::InSync, message);
    }
    let direction = if ahead > 0 { "ahead of" } else { "behind" };
    let message = format!(
        "the clock of host {name} is {} s {direction} the API server's: set it, for example with \
         \"timedatectl set-ntp true\"; tokens and certificates end by it",
        ahead.abs()
    );
    (Some(false), Reason::ClockOff, message)
}

#[cfg(test)]
mod tests;
