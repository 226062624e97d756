//! Pure: condition types and reasons, and how a condition replaces its predecessor.
//!
//! `docs/conditions.md` and, for those of a Gateway, `docs/gateway.md` say what to do about each
//! reason; tests hold them together.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Declares an enum whose variants are written into conditions under their own names.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Every variant, in the order of declaration.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self { $(Self::$variant => stringify!($variant),)* })
            }
        }
    };
}

words! {
    /// Condition types of an ExternalService, in the order in which they become true.
    ExternalServiceCondition {
        /// The object makes sense and conflicts with no other.
        Accepted,
        /// Every listed Service exists and can be a source.
        SourcesResolved,
        /// A gateway holds each source IP and has taken over the current generation, and the
        /// forwarder runs.
        Programmed,
        /// At least one forwarder replica has a tunnel to every gateway used.
        TunnelsEstablished,
        /// All of the above: traffic flows.
        Ready,
    }
}

words! {
    /// Reasons in the conditions of an ExternalService. `Ready` takes over the reason of the
    /// first condition that is not true.
    ExternalServiceReason {
        /// `Accepted` is true.
        Accepted,
        /// A field holds what the schema lets through but what makes no sense.
        InvalidSpec,
        /// The name is taken: by an older ExternalService, or by an object that is not ours.
        NameConflict,
        /// An older ExternalService holds the same source IP towards the same target and port.
        SourceIPConflict,
        /// A Service is listed twice, once with and once without its namespace.
        DuplicateSource,

        /// `SourcesResolved` is true.
        SourcesResolved,
        /// A listed Service is another team's, which has not consented, or the API server.
        SourceNotPermitted,
        /// A source IP is reserved for ExternalServices of other namespaces.
        SourceIPNotPermitted,
        /// A listed Service does not exist.
        ServiceNotFound,
        /// A listed Service is of type ExternalName: there are no pods behind it.
        ExternalNameService,
        /// A listed Service has no IPv4 cluster IP, so the external server cannot reach it.
        NoClusterIP,
        /// Two Services want the same port of one source IP; the first has it.
        IngressPortConflict,

        /// `Programmed` is true.
        Programmed,
        /// `Accepted` is false, so nothing is set up.
        NotAccepted,
        /// None of the listed Services can be a source, so nothing is set up.
        NoSource,
        /// The API server refused an object that the operator wanted to write.
        ApplyFailed,
        /// No gateway holds a source IP.
        NoGateway,
        /// The gateway of a source IP cannot, or not yet, carry out its part.
        GatewayNotProgrammed,
        /// No replica of the forwarder is available.
        ForwarderNotAvailable,

        /// `TunnelsEstablished` is true.
        TunnelsEstablished,
        /// No replica of the forwarder has a tunnel to a gateway.
        TunnelDown,

        /// `Ready` is true.
        Ready,
        /// The operator is being uninstalled, and with it went what it had set up.
        Uninstalled,
    }
}

words! {
    /// Condition types of a Gateway object that its gateway writes.
    GatewayCondition {
        /// The source IP is on an interface of the gateway host.
        AddressAssigned,
        /// The ssh server listens and the rules of the current generation are in the kernel.
        Programmed,
        /// The clock of the gateway host agrees with the API server's.
        ClockInSync,
    }
}

words! {
    /// Reasons in the conditions that a gateway writes.
    GatewayReason {
        /// `AddressAssigned` is true.
        Assigned,
        /// The source IP is on no interface of the host.
        AddressMissing,
        /// The gateway could not put the source IP on the interface.
        AssignFailed,

        /// `Programmed` is true.
        Programmed,
        /// Part of the object makes no sense. The rest is in effect.
        InvalidSpec,
        /// Part of the object is not allowed on this host. The rest is in effect.
        NotAllowed,
        /// The host refuses the rules or ports.
        ApplyFailed,
        /// The ssh port cannot be opened.
        NotListening,

        /// `ClockInSync` is true.
        InSync,
        /// The host's clock is too far from the API server's.
        ClockOff,
        /// The API server has not told its time yet.
        NotCompared,
    }
}

/// Condition type of a Gateway object that the operator writes: its gateway gives signs of life.
/// A gateway that cannot reach the API server could not say so itself.
pub const GATEWAY_REPORTING: &str = "Reporting";

words! {
    /// Reasons in the condition [`GATEWAY_REPORTING`].
    ReportingReason {
        /// It is true.
        Reporting,
        /// The gateway has given no sign of life for a while.
        Silent,
    }
}

/// Says in each condition of an ExternalService that nobody carries it out any more.
pub fn uninstalled(conditions: &mut Vec<Condition>, generation: Option<i64>, now: &Time) {
    for type_ in ExternalServiceCondition::ALL {
        let message = "extconn has been uninstalled: nothing carries this out";
        let reason = ExternalServiceReason::Uninstalled;
        let verdict = condition(type_, Some(false), reason, message, generation, now.clone());
        set(conditions, verdict);
    }
}

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

/// The condition of this type.
pub fn find(conditions: &[Condition], type_: impl std::fmt::Display) -> Option<&Condition> {
    let type_ = type_.to_string();
    conditions.iter().find(|c| c.type_ == type_)
}

/// Whether the condition of this type is `True` for `generation`.
pub fn is_true(conditions: &[Condition], type_: &str, generation: Option<i64>) -> bool {
    find(conditions, type_)
        .is_some_and(|c| c.status == "True" && c.observed_generation == generation)
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

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;

    use super::*;

    fn at(second: i64) -> Time {
        Time(Timestamp::from_second(second).unwrap())
    }

    fn programmed(holds: Option<bool>, second: i64) -> Condition {
        condition(
            GatewayCondition::Programmed,
            holds,
            "Because",
            "",
            Some(3),
            at(second),
        )
    }

    #[test]
    fn transition_time_moves_only_when_the_status_flips() {
        let mut conditions = vec![];
        set(&mut conditions, programmed(Some(false), 1));
        set(&mut conditions, programmed(Some(false), 2));
        assert_eq!(conditions[0].last_transition_time, at(1));
        set(&mut conditions, programmed(None, 3));
        assert_eq!(conditions[0].last_transition_time, at(3));
        set(&mut conditions, programmed(Some(true), 4));
        assert_eq!(conditions[0].last_transition_time, at(4));
        assert_eq!(conditions.len(), 1);
    }

    #[test]
    fn a_condition_replaces_only_its_own_type() {
        let mut conditions = vec![];
        set(&mut conditions, programmed(Some(true), 1));
        let assigned = condition(
            GatewayCondition::AddressAssigned,
            None,
            "R",
            "m",
            None,
            at(1),
        );
        set(&mut conditions, assigned);
        let types: Vec<_> = conditions.iter().map(|c| c.type_.as_str()).collect();
        assert_eq!(types, ["Programmed", "AddressAssigned"]);
    }

    #[test]
    fn a_condition_of_an_older_generation_is_not_true() {
        let conditions = vec![programmed(Some(true), 1)];
        assert!(is_true(&conditions, "Programmed", Some(3)));
        assert!(!is_true(&conditions, "Programmed", Some(4)));
        assert!(!is_true(&conditions, "AddressAssigned", Some(3)));
        assert!(!is_true(&[programmed(None, 1)], "Programmed", Some(3)));
    }

    #[test]
    fn words_are_written_as_declared() {
        assert_eq!(
            ExternalServiceReason::SourceIPConflict.to_string(),
            "SourceIPConflict"
        );
        assert_eq!(ExternalServiceCondition::ALL.len(), 5);
    }
}
