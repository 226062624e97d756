//! Threads that carry, each with an event loop of its own. A tunnel and all flows in it live on one
//! of them: what one task hands to the next is in this processor's cache, and nobody has to be woken
//! on another.

use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

/// Turns of tasks after which sockets are looked at, also while more tasks are ready: in each up to a
/// mebibyte is moved, and whoever comes meanwhile waits.
const EVENT_INTERVAL: u32 = 8;

/// One thread for each processor that this process may use.
#[derive(Debug)]
pub(crate) struct Workers {
    handles: Vec<Handle>,
    stopped: CancellationToken,
}

impl Workers {
    /// Starts them. They see the network that the calling thread sees.
    ///
    /// # Panics
    /// The kernel has no thread left for this process.
    pub(crate) fn start() -> Self {
        let count = thread::available_parallelism().map_or(1, usize::from);
        let stopped = CancellationToken::new();
        let start = |_| start(stopped.clone());
        Self {
            handles: (0..count).map(start).collect(),
            stopped,
        }
    }

    /// The one that has the fewest tasks.
    pub(crate) fn idlest(&self) -> &Handle {
        let tasks = |worker: &&Handle| worker.metrics().num_alive_tasks();
        let idlest = self.handles.iter().min_by_key(tasks);
        idlest.expect("there is a processor")
    }

    /// Ends them, and all that lives on them.
    pub(crate) fn stop(&self) {
        self.stopped.cancel();
    }
}

fn start(stopped: CancellationToken) -> Handle {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .event_interval(EVENT_INTERVAL)
        .build()
        .expect("an event loop takes a few file descriptors");
    let handle = runtime.handle().clone();
    let thread = thread::Builder::new().name("worker".to_owned());
    let started = thread.spawn(move || runtime.block_on(stopped.cancelled()));
    started.expect("a worker takes a thread");
    handle
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_spread_and_end_with_their_worker() {
        let workers = Workers::start();
        let mut ends = Vec::new();
        for _ in &workers.handles {
            let (end_tx, end_rx) = std::sync::mpsc::channel::<()>();
            workers.idlest().spawn(async move {
                let _end_tx = end_tx;
                std::future::pending::<()>().await;
            });
            ends.push(end_rx);
        }
        let tasks = |worker: &Handle| worker.metrics().num_alive_tasks();
        assert!(workers.handles.iter().all(|worker| tasks(worker) == 1));
        workers.stop();
        for end_rx in ends {
            end_rx.recv().unwrap_err();
        }
    }
}
