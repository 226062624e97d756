//! Pure: what to do about the Lease, from how it was seen, and what to write into it.
//!
//! The rules are those of client-go's leader election: a holder that has not renewed for as long
//! as the Lease says may be followed by another. Its times are for people to read; the clock of
//! another host is never compared with ours.

use std::time::Duration;

use extconn_api::names;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::ObjectMeta;

/// How long the Lease stays its holder's without being renewed.
pub const DURATION: Duration = Duration::from_secs(15);

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write it as ours: it is not there, free, ours already, or its holder has been silent.
    Hold,
    /// Another one holds it.
    Wait,
}

/// What was last seen of the Lease.
#[derive(Clone, Debug, Default)]
pub struct View {
    last: Option<(LeaseSpec, Duration)>,
}

impl View {
    /// Takes in the Lease as it is `now`, a time on this process's own clock that never goes
    /// back, and says what `identity` may do.
    pub fn see(&mut self, lease: Option<&Lease>, identity: &str, now: Duration) -> Step {
        let Some(spec) = lease.and_then(|lease| lease.spec.as_ref()) else {
            return Step::Hold;
        };
        let since = match &self.last {
            Some((last, since)) if last == spec => *since,
            _ => now,
        };
        self.last = Some((spec.clone(), since));
        match holder(spec) {
            None => Step::Hold,
            Some(holder) if holder == identity => Step::Hold,
            Some(_) if now.saturating_sub(since) >= duration(spec) => Step::Hold,
            Some(_) => Step::Wait,
        }
    }
}

/// Who holds it.
pub fn holder(spec: &LeaseSpec) -> Option<&str> {
    spec.holder_identity
        .as_deref()
        .filter(|holder| !holder.is_empty())
}

/// As long as the holder wants it: another version of the operator may want it longer.
fn duration(spec: &LeaseSpec) -> Duration {
    let seconds = spec.lease_duration_seconds.map(u64::try_from);
    match seconds {
        Some(Ok(seconds)) => Duration::from_secs(seconds),
        Some(Err(_)) | None => DURATION,
    }
}

/// The Lease as `identity` writes it to hold it from `now` on. The resource version of `before`
/// goes with it, so that the API server refuses all but one of those who write at once.
pub fn held(before: Option<&Lease>, identity: &str, now: MicroTime) -> Lease {
    let spec = before.and_then(|lease| lease.spec.clone());
    let is_ours = spec.as_ref().and_then(holder) == Some(identity);
    let spec = spec.unwrap_or_default();
    let transitions = spec.lease_transitions.unwrap_or(0);
    let counted = match (before, is_ours) {
        (None, _) => 0,
        (Some(_), true) => transitions,
        (Some(_), false) => transitions.saturating_add(1),
    };
    let acquired = spec.acquire_time.filter(|_| is_ours);
    Lease {
        metadata: metadata(before),
        spec: Some(LeaseSpec {
            holder_identity: Some(identity.to_owned()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: Some(acquired.unwrap_or_else(|| now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(counted),
            ..LeaseSpec::default()
        }),
    }
}

/// The Lease given back, free for whoever sees it first.
pub fn released(held: &Lease, now: MicroTime) -> Lease {
    let spec = held.spec.clone().unwrap_or_default();
    Lease {
        metadata: metadata(Some(held)),
        spec: Some(LeaseSpec {
            holder_identity: Some(String::new()),
            lease_duration_seconds: Some(1),
            acquire_time: Some(now.clone()),
            renew_time: Some(now),
            lease_transitions: spec.lease_transitions,
            ..LeaseSpec::default()
        }),
    }
}

fn metadata(before: Option<&Lease>) -> ObjectMeta {
    match before {
        Some(lease) => ObjectMeta {
            managed_fields: None,
            ..lease.metadata.clone()
        },
        None => ObjectMeta {
            name: Some(names::OPERATOR_LEASE.into()),
            ..ObjectMeta::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;

    use super::*;

    fn at(second: i64) -> MicroTime {
        MicroTime(Timestamp::from_second(second).unwrap())
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn of(identity: &str, renewed: i64) -> Lease {
        held(None, identity, at(renewed))
    }

    #[test]
    fn a_missing_free_or_own_lease_is_held_at_once() {
        let mut view = View::default();
        assert_eq!(view.see(None, "a", seconds(0)), Step::Hold);
        assert_eq!(view.see(Some(&of("a", 1)), "a", seconds(1)), Step::Hold);
        let free = released(&of("b", 1), at(2));
        assert_eq!(view.see(Some(&free), "a", seconds(2)), Step::Hold);
    }

    #[test]
    fn the_lease_of_another_is_left_alone_for_as_long_as_it_is_renewed() {
        let mut view = View::default();
        for second in 0u32..60 {
            let lease = of("b", second.into());
            let step = view.see(Some(&lease), "a", seconds(second.into()));
            assert_eq!(step, Step::Wait, "after {second} s");
        }
    }

    #[test]
    fn a_silent_holder_is_followed_after_fifteen_seconds_on_our_own_clock() {
        let mut view = View::default();
        // Its times are of another year.
        let lease = of("b", -1_000_000_000);
        assert_eq!(view.see(Some(&lease), "a", seconds(100)), Step::Wait);
        assert_eq!(view.see(Some(&lease), "a", seconds(114)), Step::Wait);
        assert_eq!(view.see(Some(&lease), "a", seconds(115)), Step::Hold);
    }

    #[test]
    fn renewing_keeps_the_time_of_acquisition_and_another_holder_counts_as_a_transition() {
        let mut lease = of("a", 1);
        lease.metadata.resource_version = Some("7".into());
        let renewed = held(Some(&lease), "a", at(3)).spec.unwrap();
        assert_eq!(renewed.acquire_time, Some(at(1)));
        assert_eq!(renewed.renew_time, Some(at(3)));
        assert_eq!(renewed.lease_transitions, Some(0));
        let taken = held(Some(&lease), "b", at(20));
        assert_eq!(taken.metadata.resource_version.as_deref(), Some("7"));
        let taken = taken.spec.unwrap();
        assert_eq!(taken.acquire_time, Some(at(20)));
        assert_eq!(taken.lease_transitions, Some(1));
    }
}
