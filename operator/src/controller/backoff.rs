//! How long to wait before what has failed is tried again: twice as long each time, with jitter,
//! and never more than ten seconds, so that all converges soon after what was missing is there.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use backon::ExponentialBuilder;
use extconn_api::NamespacedName;
use kube::runtime::utils::Backoff as StreamBackoff;
use kube::runtime::watcher::ExponentialBackoff;

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(10);

/// Longest wait of a watch. Two of them follow each other: the watch's own, and the Controller's
/// for all watches together.
const LONGEST_OF_WATCH: Duration = Duration::from_secs(4);

/// The waits of a watch that fails again and again. kube's own go up to 30 seconds.
pub fn of_watch() -> impl StreamBackoff + 'static {
    let builder = ExponentialBuilder::default()
        .with_min_delay(FIRST)
        .with_max_delay(LONGEST_OF_WATCH)
        .with_jitter()
        .without_max_times();
    ExponentialBackoff::from(builder)
}

/// Failures in a row, by ExternalService.
#[derive(Debug, Default)]
pub struct Backoff(Mutex<HashMap<NamespacedName, u32>>);

impl Backoff {
    /// Counts a failure and says how long to wait.
    pub fn failed(&self, key: &NamespacedName) -> Duration {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(key.clone()).or_default();
        let wait = FIRST.saturating_mul(1 << (*count).min(16)).min(LONGEST);
        *count = count.saturating_add(1);
        wait.mul_f64(rand::random_range(0.75..1.0))
    }

    /// Forgets the failures of one that succeeded, or is gone.
    pub fn succeeded(&self, key: &NamespacedName) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> NamespacedName {
        NamespacedName {
            namespace: "shop".into(),
            name: name.into(),
        }
    }

    #[test]
    fn a_watch_is_tried_for_ever_and_soon_after_the_api_server_is_back() {
        let waits: Vec<_> = of_watch().take(50).collect();
        assert_eq!(waits.len(), 50);
        // Jitter adds at most one more of the same.
        assert!(
            waits.iter().all(|wait| *wait <= 2 * LONGEST_OF_WATCH),
            "{waits:?}"
        );
        assert!(waits[0] <= 2 * FIRST, "{waits:?}");
    }

    #[test]
    fn waits_grow_to_ten_seconds_and_start_again_after_success() {
        let backoff = Backoff::default();
        let waits: Vec<_> = (0..40).map(|_| backoff.failed(&key("a"))).collect();
        assert!(waits[0] <= FIRST && waits[0] >= FIRST.mul_f64(0.75));
        assert!(waits[39] <= LONGEST && waits[39] >= LONGEST.mul_f64(0.75));
        assert!(
            backoff.failed(&key("b")) <= FIRST,
            "failures of one slow down another"
        );
        backoff.succeeded(&key("a"));
        assert!(backoff.failed(&key("a")) <= FIRST);
    }
}
