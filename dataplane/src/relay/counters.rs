//! Counts of what happened to flows, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::tunnel::reason::Reason;

/// Counts since the process began.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    completed: AtomicU64,
    broken: [AtomicU64; Reason::ALL.len()],
    read: AtomicU64,
    written: AtomicU64,
}

/// Counts at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Flows that ended with both halves complete.
    pub completed: u64,
    /// Flows that were refused or cut: one entry per [`Reason`], in the order of [`Reason::ALL`].
    pub broken: Vec<(Reason, u64)>,
    /// Bytes read from proxied connections.
    pub read_bytes: u64,
    /// Bytes written to proxied connections.
    pub written_bytes: u64,
}

impl Counters {
    pub(crate) fn ended(&self, result: Result<(), Reason>, transferred: &super::Transferred) {
        match result {
            Ok(()) => self.completed.fetch_add(1, Ordering::Relaxed),
            Err(reason) => self.broken[reason as usize - 1].fetch_add(1, Ordering::Relaxed),
        };
        let (read, written) = transferred.totals();
        self.read.fetch_add(read, Ordering::Relaxed);
        self.written.fetch_add(written, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let broken = Reason::ALL.into_iter().zip(&self.broken);
        Snapshot {
            completed: self.completed.load(Ordering::Relaxed),
            broken: broken
                .map(|(reason, count)| (reason, count.load(Ordering::Relaxed)))
                .collect(),
            read_bytes: self.read.load(Ordering::Relaxed),
            written_bytes: self.written.load(Ordering::Relaxed),
        }
    }
}
