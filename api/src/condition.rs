//! Pure: condition types, and how a condition replaces its predecessor.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Condition types of an ExternalService, in the order in which they become true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExternalServiceCondition {
    /// The object makes sense and conflicts with no other.
    Accepted,
    /// Every listed Service exists and can be a source.
    SourcesResolved,
    /// A gateway holds each source IP and has taken over the current generation.
    Programmed,
    /// At least one forwarder replica has a tunnel to every gateway used.
    TunnelsEstablished,
    /// All of the above: traffic flows.
    Ready,
}

/// Condition types of a Gateway object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GatewayCondition {
    /// The source IP is on an interface of the gateway host.
    AddressAssigned,
    /// The ssh server listens and the rules of the current generation are in the kernel.
    Programmed,
}

macro_rules! display_as_debug {
    ($($t:ty),*) => {$(
        impl std::fmt::Display for $t {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{self:?}")
            }
        }
    )*};
}
display_as_debug!(ExternalServiceCondition, GatewayCondition);

/// Puts `new` in place of the condition of the same type, or at the end.
///
/// `new.last_transition_time` counts only if the status flips: otherwise the time of the old one
/// is kept, as the API conventions of Kubernetes ask.
pub fn set(conditions: &mut Vec<Condition>, mut new: Condition) {
    match conditions.iter_mut().find(|old| old.type_ == new.type_) {
        Some(old) => {
            if old.status == new.status {
                new.last_transition_time = old.last_transition_time.clone();
            }
            *old = new;
        }
        None => conditions.push(new),
    }
}

/// Whether the condition of this type is `True` for `generation`.
pub fn is_true(conditions: &[Condition], type_: &str, generation: Option<i64>) -> bool {
    conditions
        .iter()
        .any(|c| c.type_ == type_ && c.status == "True" && c.observed_generation == generation)
}

/// A condition. `holds` of `None` means that it cannot be told yet (`Unknown`).
pub fn condition(
    type_: impl std::fmt::Display,
    holds: Option<bool>,
    reason: impl std::fmt::Display,
    message: impl Into<String>,
    generation: Option<i64>,
    now: Time,
) -> Condition {
    let status = match holds {
        Some(true) => "True",
        Some(false) => "False",
        None => "Unknown",
    };
    Condition {
        type_: type_.to_string(),
        status: status.into(),
        reason: reason.to_string(),
        message: message.into(),
        observed_generation: generation,
        last_transition_time: now,
    }
}
