//! Counts of what happened to flows, for metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::tunnel::reason::Reason;

/// Counts since the process began.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    completed: AtomicU64,
    broken: [AtomicU64; Reason::ALL.len()],
    bytes: Arc<Bytes>,
}

/// Bytes of proxied connections.
#[derive(Debug, Default)]
pub(crate) struct Bytes {
    pub(super) read: AtomicU64,
    pub(super) written: AtomicU64,
}

impl Bytes {
    /// Bytes read and written.
    pub(super) fn totals(&self) -> (u64, u64) {
        let read = self.read.load(Ordering::Relaxed);
        (read, self.written.load(Ordering::Relaxed))
    }
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
    /// The count of bytes of a flow that begins.
    pub(crate) fn transferred(&self) -> super::Transferred {
        super::Transferred::counted_in(&self.bytes)
    }

    /// Counts the end of a flow.
    pub(crate) fn ended(&self, result: Result<(), Reason>) {
        match result {
            Ok(()) => self.completed.fetch_add(1, Ordering::Relaxed),
            Err(reason) => self.broken[reason as usize - 1].fetch_add(1, Ordering::Relaxed),
        };
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let broken = Reason::ALL.into_iter().zip(&self.broken);
        let (read_bytes, written_bytes) = self.bytes.totals();
        Snapshot {
            completed: self.completed.load(Ordering::Relaxed),
            broken: broken
                .map(|(reason, count)| (reason, count.load(Ordering::Relaxed)))
                .collect(),
            read_bytes,
            written_bytes,
        }
    }
}
