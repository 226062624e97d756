//! A complete view of objects of one kind, kept up to date by a watch.
//!
//! It is replaced as a whole, and only by a list that the API server completed: an outage, an
//! error or half a list leaves the last one in place.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt};
use kube::runtime::reflector::{self, Lookup, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::client::WATCH_SECONDS;
use crate::logs::causes;

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

fn ring(bell: &Bell) {
    bell.send_modify(|count| *count = count.wrapping_add(1));
}

/// Whether a view may be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// No list was completed yet: nothing can be said.
    Unknown,
    /// As before, and the API server says that it never will be.
    Forbidden,
    /// A list was completed.
    Synced,
}

/// A view and the task that follows it; dropping it ends the task.
#[derive(Debug)]
pub struct View<K>
where
    K: Lookup + Clone + 'static,
    K::DynamicType: Hash + Eq + Clone + Debug,
{
    store: Store<K>,
    progress: watch::Receiver<Progress>,
    task: JoinHandle<()>,
}

impl<K> Drop for View<K>
where
    K: Lookup + Clone + 'static,
    K::DynamicType: Hash + Eq + Clone + Debug,
{
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<K> View<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    /// Follows what `selection` selects. `what` names it in the log; `prune` drops from each
    /// object what nobody reads; `bell` rings after each change.
    pub fn follow(
        api: Api<K>,
        selection: watcher::Config,
        what: impl Into<String>,
        prune: impl Fn(&mut K) + Send + 'static,
        bell: Bell,
    ) -> Self {
        let (store, writer) = reflector::store();
        let (progress_tx, progress) = watch::channel(Progress::Unknown);
        let events = watcher(api, selection.timeout(WATCH_SECONDS))
            .modify(move |object| {
                object.meta_mut().managed_fields = None;
                prune(object);
            })
            .reflect(writer);
        let task = tokio::spawn(follow_events(events, what.into(), progress_tx, bell));
        Self {
            store,
            progress,
            task,
        }
    }

    /// All objects, in no particular order; `None` until the first list was completed.
    pub fn objects(&self) -> Option<Vec<Arc<K>>> {
        (*self.progress.borrow() == Progress::Synced).then(|| self.store.state())
    }

    /// Whether the API server refuses to list the objects and has never listed them.
    pub fn is_forbidden(&self) -> bool {
        *self.progress.borrow() == Progress::Forbidden
    }
}

async fn follow_events<K>(
    events: impl Stream<Item = watcher::Result<watcher::Event<K>>>,
    what: String,
    progress_tx: watch::Sender<Progress>,
    bell: Bell,
) {
    let mut events = std::pin::pin!(events);
    let mut failures: u32 = 0;
    let mut last_failure = Instant::now();
    while let Some(event) = events.next().await {
        match event {
            // Only a completed list counts, and only it ends an outage.
            Ok(watcher::Event::Init | watcher::Event::InitApply(_)) => {}
            Ok(watcher::Event::InitDone | watcher::Event::Apply(_) | watcher::Event::Delete(_)) => {
                if failures > 0 {
                    info!(what, failures, "watch is back");
                    failures = 0;
                }
                progress_tx.send_replace(Progress::Synced);
                ring(&bell);
            }
            Err(error) => {
                if last_failure.elapsed() > CALM {
                    failures = 0;
                }
                last_failure = Instant::now();
                failures = failures.saturating_add(1);
                let forbidden = is_forbidden(&error);
                // An outage may last: the first failure says all, the others that it goes on.
                if failures.is_power_of_two() {
                    warn!(
                        what,
                        failures,
                        error = causes(&error),
                        "watch failed, the last view stays"
                    );
                }
                if forbidden && refuse(&progress_tx) {
                    ring(&bell);
                }
                tokio::time::sleep(backoff(failures)).await;
            }
        }
    }
}

/// Notes a refusal; whether it is the first and nothing was ever listed.
fn refuse(progress_tx: &watch::Sender<Progress>) -> bool {
    progress_tx.send_if_modified(|progress| {
        let first = *progress == Progress::Unknown;
        if first {
            *progress = Progress::Forbidden;
        }
        first
    })
}

fn is_forbidden(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status.is_forbidden(),
        _ => false,
    }
}

/// 0.2 s, doubled by each failure up to [`LONGEST_BACKOFF`], and up to a half more so that many
/// agents do not come back at once.
fn backoff(failures: u32) -> Duration {
    let doubled = Duration::from_millis(100) * 2_u32.saturating_pow(failures.min(10));
    doubled
        .min(LONGEST_BACKOFF)
        .mul_f64(1.0 + rand::random::<f64>() / 2.0)
}
