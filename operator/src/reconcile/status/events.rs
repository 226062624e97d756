//! Pure: which changes of a status deserve an Event. While a connection comes up there are none:
//! only that it is ready, that it no longer is, and that the user has to do something.

use extconn_api::ExternalServiceStatus;
use extconn_api::condition::{
    self, ExternalServiceCondition as Type, ExternalServiceReason as Reason,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::events::{Event, EventType};

/// Longest note that the API server takes, in bytes.
const LONGEST_NOTE: usize = 1024;

/// The Events for the step from `old` to `new`.
pub fn events(old: &ExternalServiceStatus, new: &ExternalServiceStatus) -> Vec<Event> {
    let ready = changed(old, new, Type::Ready).filter(|(before, after)| {
        let was = before.is_some_and(|b| b.status == "True");
        was != (after.status == "True")
    });
    if let Some((_, after)) = ready {
        return vec![event(after)];
    }
    [Type::Accepted, Type::SourcesResolved]
        .into_iter()
        .filter_map(|type_| changed(old, new, type_))
        .filter(|(before, after)| {
            after.status == "False"
                && after.reason != Reason::NotAccepted.to_string()
                && before.is_none_or(|b| b.reason != after.reason)
        })
        .map(|(_, after)| event(after))
        .collect()
}

fn changed<'a>(
    old: &'a ExternalServiceStatus,
    new: &'a ExternalServiceStatus,
    type_: Type,
) -> Option<(Option<&'a Condition>, &'a Condition)> {
    let before = condition::find(&old.conditions, type_);
    let after = condition::find(&new.conditions, type_)?;
    (before != Some(after)).then_some((before, after))
}

fn event(condition: &Condition) -> Event {
    let mut note = condition.message.clone();
    let mut end = note.len().min(LONGEST_NOTE);
    while !note.is_char_boundary(end) {
        end -= 1;
    }
    note.truncate(end);
    Event {
        type_: if condition.status == "True" {
            EventType::Normal
        } else {
            EventType::Warning
        },
        reason: condition.reason.clone(),
        note: Some(note),
        action: "Reconcile".into(),
        secondary: None,
    }
}
