//! How long to wait before an ExternalService that failed is tried again: twice as long each
//! time, with jitter, and never more than ten seconds, so that it converges soon after what was
//! missing is there.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use extconn_api::NamespacedName;

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(10);

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
