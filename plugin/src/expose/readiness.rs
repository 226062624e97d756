//! Pure: how far an ExternalService has come, from its conditions.

use extconn_api::ExternalService;
use extconn_api::condition::{self, ExternalServiceCondition, ExternalServiceReason as Reason};

use crate::terminal::style::{Mood, Style};

/// How far it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Traffic flows.
    Ready,
    /// On its way; what it waits for, in words.
    Waiting(String),
    /// It waits for the user: the reason and message of the condition that says so.
    Stuck {
        /// Reason of the condition.
        reason: String,
        /// Its message.
        message: String,
    },
}

/// Reasons that no waiting will cure.
const STUCK: [Reason; 10] = [
    Reason::InvalidSpec,
    Reason::NameConflict,
    Reason::SourceIPConflict,
    Reason::DuplicateSource,
    Reason::SourceNotPermitted,
    Reason::SourceIPNotPermitted,
    Reason::ServiceNotFound,
    Reason::ExternalNameService,
    Reason::NoClusterIP,
    Reason::IngressPortConflict,
];

/// How far `object` has come with its present generation.
pub(crate) fn progress(object: &ExternalService) -> Progress {
    let conditions = object
        .status
        .as_ref()
        .map_or(&[][..], |status| &status.conditions);
    let Some(ready) = condition::find(conditions, ExternalServiceCondition::Ready) else {
        return Progress::Waiting("the operator to look at it".to_owned());
    };
    if ready.observed_generation != object.metadata.generation {
        return Progress::Waiting("the operator to take over the change".to_owned());
    }
    if ready.status == "True" {
        return Progress::Ready;
    }
    let stuck = STUCK
        .iter()
        .any(|reason| reason.to_string() == ready.reason);
    let (reason, message) = (ready.reason.clone(), ready.message.clone());
    if stuck {
        Progress::Stuck { reason, message }
    } else {
        Progress::Waiting(message)
    }
}

/// One line with a sign for each condition.
pub(crate) fn conditions(object: &ExternalService, style: Style) -> String {
    let conditions = object
        .status
        .as_ref()
        .map_or(&[][..], |status| &status.conditions);
    let words = ExternalServiceCondition::ALL.iter().map(|type_| {
        let found = condition::find(conditions, type_);
        let current = found.filter(|c| c.observed_generation == object.metadata.generation);
        let mood = match current.map(|c| c.status.as_str()) {
            Some("True") => Mood::Good,
            Some("False") => Mood::Bad,
            _ => Mood::Unsure,
        };
        format!("{} {type_}", style.sign(mood))
    });
    words.collect::<Vec<_>>().join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expose::fixtures;

    fn with_ready(status: &str, reason: &str, observed: i64) -> ExternalService {
        let mut object = fixtures::external_service("ns1", "db", "203.0.113.7", "192.0.2.10");
        object.metadata.generation = Some(2);
        let status = serde_json::json!({"conditions": [{
            "type": "Ready", "status": status, "reason": reason, "message": "because",
            "observedGeneration": observed, "lastTransitionTime": "2026-01-01T00:00:00Z"
        }]});
        object.status = Some(serde_json::from_value(status).unwrap());
        object
    }

    #[test]
    fn only_the_present_generation_counts_as_ready() {
        assert_eq!(progress(&with_ready("True", "Ready", 2)), Progress::Ready);
        assert!(matches!(
            progress(&with_ready("True", "Ready", 1)),
            Progress::Waiting(_)
        ));
    }

    #[test]
    fn what_waits_for_the_user_is_not_waited_for() {
        assert!(matches!(
            progress(&with_ready("False", "ServiceNotFound", 2)),
            Progress::Stuck { .. }
        ));
        assert!(matches!(
            progress(&with_ready("False", "TunnelDown", 2)),
            Progress::Waiting(_)
        ));
        // An old verdict may be about an old spec.
        assert!(matches!(
            progress(&with_ready("False", "ServiceNotFound", 1)),
            Progress::Waiting(_)
        ));
    }

    #[test]
    fn every_condition_is_on_the_line() {
        let line = conditions(&with_ready("False", "TunnelDown", 2), Style::default());
        assert_eq!(
            line,
            "? Accepted  ? SourcesResolved  ? Programmed  ? TunnelsEstablished  x Ready"
        );
    }
}
