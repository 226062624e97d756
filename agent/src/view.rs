//! A complete view of objects of one kind, kept up to date by a watch.
//!
//! It is replaced as a whole, and only by a list that the API server completed: an outage, an
//! error, half a list or an object that makes no sense leave in place what was there.

mod snapshot;

use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt;
use kube::core::{DeserializeGuard, NamespaceResourceScope};
use kube::runtime::watcher;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::client::WATCH_SECONDS;
use crate::logs::causes;

use snapshot::{Snapshot, Taken};

/// Longest wait between two tries to reach the API server.
const LONGEST_BACKOFF: Duration = Duration::from_secs(10);

/// Failures further apart than this do not belong together.
const CALM: Duration = Duration::from_secs(2 * WATCH_SECONDS as u64);

/// Rings when something changed. Several views may share one.
pub type Bell = Arc<watch::Sender<u64>>;

/// A bell, and the receiver that hears it.
pub fn bell() -> (Bell, watch::Receiver<u64>) {
    let (ring_tx, ring_rx) = watch::channel(0);
    (Arc::new(ring_tx), ring_rx)
}

/// Rings a bell.
pub fn ring(bell: &Bell) {
    bell.send_modify(|count| *count = count.wrapping_add(1));
}

/// A view and the task that follows it; dropping it ends the task.
#[derive(Debug)]
pub struct View<K> {
    snapshot: Arc<Mutex<Snapshot<K>>>,
    task: JoinHandle<()>,
}

impl<K> Drop for View<K> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<K> View<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Debug
        + Send
        + Sync
        + 'static,
{
    /// Follows what `selection` selects in a namespace. `what` names it in the log; `prune` drops
    /// from each object what nobody reads; `bell` rings after each change.
    pub fn follow(
        client: &Client,
        namespace: &str,
        selection: watcher::Config,
        what: impl Into<String>,
        prune: impl Fn(&mut K) + Send + 'static,
        bell: Bell,
    ) -> Self {
        let api = Api::namespaced(client.clone(), namespace);
        let snapshot = Arc::default();
        let follower = Follower {
            snapshot: Arc::clone(&snapshot),
            what: what.into(),
            bell,
            failures: 0,
            last_failure: Instant::now(),
        };
        let task = tokio::spawn(follower.follow(api, selection.timeout(WATCH_SECONDS), prune));
        Self { snapshot, task }
    }

    /// All objects in order of name; `None` until the first list was completed.
    pub fn objects(&self) -> Option<Vec<Arc<K>>> {
        locked(&self.snapshot).objects()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing in here is left half-done by a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Follower<K> {
    snapshot: Arc<Mutex<Snapshot<K>>>,
    what: String,
    bell: Bell,
    failures: u32,
    last_failure: Instant,
}

impl<K> Follower<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    async fn follow(
        mut self,
        api: Api<DeserializeGuard<K>>,
        selection: watcher::Config,
        prune: impl Fn(&mut K),
    ) {
        let mut events = std::pin::pin!(watcher(api, selection));
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    let taken = locked(&self.snapshot).take(event, &prune);
                    self.note(taken);
                }
                Err(error) => tokio::time::sleep(self.note_failure(&error)).await,
            }
        }
    }

    fn note(&mut self, taken: Taken) {
        let what = &self.what;
        match taken {
            Taken::Pending => {}
            Taken::Changed => {
                if self.failures > 0 {
                    info!(what, failures = self.failures, "watch is back");
                    self.failures = 0;
                }
                ring(&self.bell);
            }
            Taken::Unreadable { name, error } => {
                warn!(
                    what,
                    name, error, "an object makes no sense, its last version stays"
                );
            }
        }
    }

    /// How long to wait after a failure.
    fn note_failure(&mut self, error: &watcher::Error) -> Duration {
        if self.last_failure.elapsed() > CALM {
            self.failures = 0;
        }
        self.last_failure = Instant::now();
        self.failures = self.failures.saturating_add(1);
        // An outage may last: the first failure says all, the others that it goes on.
        if self.failures.is_power_of_two() {
            let (what, failures) = (&self.what, self.failures);
            warn!(
                what,
                failures,
                error = causes(error),
                "watch failed, the last view stays"
            );
        }
        backoff(self.failures)
    }
}

/// 0.2 s, doubled by each failure up to [`LONGEST_BACKOFF`], and up to a half more so that many
/// agents do not come back at once.
fn backoff(failures: u32) -> Duration {
    let doubled = Duration::from_millis(100) * 2_u32.saturating_pow(failures.min(10));
    let jitter = 1.0 + rand::random::<f64>() / 2.0;
    doubled.min(LONGEST_BACKOFF).mul_f64(jitter)
}
