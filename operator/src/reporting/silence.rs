//! Pure: who is silent. The time of another host is never compared with ours: a Lease counts as
//! renewed when it was seen to change.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;

/// Silence after which a host is called silent, unless its Lease says otherwise.
const SILENCE: Duration = Duration::from_secs(60);

/// The Leases as they were seen to change, by the host that holds them.
#[derive(Debug, Default)]
pub struct Pulses {
    hosts: BTreeMap<String, Pulse>,
}

#[derive(Debug)]
struct Pulse {
    renewed: String,
    first_seen: Instant,
    /// `None` before it was seen to change: it may have been old when it was first seen.
    changed: Option<Instant>,
    patience: Duration,
}

/// What is to be said of a host.
#[derive(Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It has no Lease: it is of a version that keeps none, or is just beginning.
    Unknown,
    /// It was not watched for long enough.
    TooEarly,
    /// It renews its Lease.
    Reports,
    /// It has not since this time, by its own clock.
    SilentSince(String),
}

impl Pulses {
    /// Takes over a Lease as it is seen `now`.
    pub fn see(&mut self, lease: &Lease, now: Instant) {
        let Some(spec) = &lease.spec else {
            return;
        };
        let (Some(host), Some(renewed)) = (&spec.holder_identity, &spec.renew_time) else {
            return;
        };
        let renewed = renewed.0.to_string();
        let seconds = spec
            .lease_duration_seconds
            .and_then(|s| u64::try_from(s).ok());
        let patience = seconds.map_or(SILENCE, Duration::from_secs);
        match self.hosts.get_mut(host) {
            Some(pulse) if pulse.renewed == renewed => pulse.patience = patience,
            Some(pulse) => {
                pulse.renewed = renewed;
                pulse.changed = Some(now);
                pulse.patience = patience;
            }
            None => {
                let pulse = Pulse {
                    renewed,
                    first_seen: now,
                    changed: None,
                    patience,
                };
                self.hosts.insert(host.clone(), pulse);
            }
        }
    }

    /// Forgets hosts whose Lease is gone.
    pub fn forget_all_but(&mut self, leases: &[Arc<Lease>]) {
        let holder = |lease: &Arc<Lease>| lease.spec.as_ref()?.holder_identity.clone();
        let holders: Vec<String> = leases.iter().filter_map(holder).collect();
        self.hosts.retain(|host, _| holders.contains(host));
    }

    /// Gives everybody the whole time again from `now` on.
    pub fn begin_anew(&mut self, now: Instant) {
        for pulse in self.hosts.values_mut() {
            pulse.first_seen = now;
            pulse.changed = None;
        }
    }

    /// What is to be said of a host `now`.
    pub fn judge(&self, host: &str, now: Instant) -> Judgement {
        let Some(pulse) = self.hosts.get(host) else {
            return Judgement::Unknown;
        };
        let within = |since: Instant| now.duration_since(since) < pulse.patience;
        match pulse.changed {
            Some(changed) if within(changed) => Judgement::Reports,
            None if within(pulse.first_seen) => Judgement::TooEarly,
            _ => Judgement::SilentSince(pulse.renewed.clone()),
        }
    }
}

/// The message about a host that reports.
pub fn reports(host: &str) -> String {
    format!("host {host} reports")
}

/// The message about one that does not.
pub fn is_silent(host: &str, renewed: &str) -> String {
    let lease = extconn_api::names::gateway_lease(host);
    format!(
        "host {host} has not renewed its Lease {lease} since {renewed}: it is down, it does not \
         reach the API server, or its token has ended or was revoked; see \"journalctl --unit \
         extconn-gateway\" there. If it runs, it carries on with what it last knew"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lease(host: &str, second: u32) -> Lease {
        let lease = json!({"metadata": {"name": host}, "spec": {
            "holderIdentity": host, "leaseDurationSeconds": 60,
            "renewTime": format!("2026-11-24T15:00:{second:02}.000000Z"),
        }});
        serde_json::from_value(lease).unwrap()
    }

    #[test]
    fn a_host_that_renews_reports_and_one_that_stops_is_silent() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut pulses = Pulses::default();
        assert_eq!(pulses.judge("gw1", at(0)), Judgement::Unknown);
        pulses.see(&lease("gw1", 0), at(0));
        assert_eq!(pulses.judge("gw1", at(19)), Judgement::TooEarly);
        pulses.see(&lease("gw1", 20), at(20));
        assert_eq!(pulses.judge("gw1", at(79)), Judgement::Reports);
        let renewed = "2026-11-24T15:00:20Z".to_owned();
        assert_eq!(pulses.judge("gw1", at(80)), Judgement::SilentSince(renewed));
        pulses.see(&lease("gw1", 50), at(90));
        assert_eq!(pulses.judge("gw1", at(91)), Judgement::Reports);
    }

    #[test]
    fn a_host_that_was_silent_when_the_operator_started_is_given_its_time() {
        let start = Instant::now();
        let mut pulses = Pulses::default();
        pulses.see(&lease("gw1", 0), start);
        // Seen again, unchanged: a watch that begins anew tells everything again.
        pulses.see(&lease("gw1", 0), start + Duration::from_secs(30));
        let judge = |after| pulses.judge("gw1", start + Duration::from_secs(after));
        assert_eq!(judge(59), Judgement::TooEarly);
        assert!(matches!(judge(60), Judgement::SilentSince(_)));
    }

    #[test]
    fn an_outage_of_the_watch_makes_nobody_silent() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut pulses = Pulses::default();
        pulses.see(&lease("gw1", 0), at(0));
        pulses.see(&lease("gw1", 20), at(20));
        pulses.begin_anew(at(90));
        assert_eq!(pulses.judge("gw1", at(100)), Judgement::TooEarly);
        pulses.see(&lease("gw1", 40), at(101));
        assert_eq!(pulses.judge("gw1", at(102)), Judgement::Reports);
    }

    #[test]
    fn a_host_whose_lease_is_gone_is_forgotten() {
        let now = Instant::now();
        let mut pulses = Pulses::default();
        pulses.see(&lease("gw1", 0), now);
        pulses.see(&lease("gw2", 0), now);
        pulses.forget_all_but(&[Arc::new(lease("gw2", 0))]);
        assert_eq!(pulses.judge("gw1", now), Judgement::Unknown);
        assert_eq!(pulses.judge("gw2", now), Judgement::TooEarly);
    }

    #[test]
    fn silence_is_told_with_host_lease_time_and_next_step() {
        let message = is_silent("GW 1", "2026-11-24T15:00:20Z");
        for part in ["GW 1", "extconn-gateway-gw-1", "15:00:20", "journalctl"] {
            assert!(message.contains(part), "{message}");
        }
    }
}
