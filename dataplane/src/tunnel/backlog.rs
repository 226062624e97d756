//! Bytes handed towards the socket that the kernel has not taken. Whoever makes more of them
//! waits while they are many, so that what is urgent never queues behind what is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::sync::Notify;

/// Bytes that may wait: a few packets for the ssh library to work on while the kernel sends.
pub const BACKLOG_LIMIT: usize = 256 * 1024;

/// Count of bytes handed towards the socket that the kernel has not taken.
#[derive(Debug, Default)]
pub struct Backlog {
    bytes: AtomicUsize,
    room: Notify,
}

impl Backlog {
    /// Counts bytes that began to wait.
    pub fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
    }

    /// Counts bytes that wait no longer.
    pub fn remove(&self, bytes: usize) {
        let before = self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        if before >= BACKLOG_LIMIT && before - bytes < BACKLOG_LIMIT {
            self.room.notify_one();
        }
    }

    /// Waits until fewer than [`BACKLOG_LIMIT`] bytes wait. One task at a time.
    pub async fn room(&self) {
        while self.bytes.load(Ordering::Acquire) >= BACKLOG_LIMIT {
            self.room.notified().await;
        }
    }

    /// Counts `bytes` for as long as the result lives.
    pub fn counted(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        self.add(bytes.len());
        Bytes::from_owner(Counted {
            bytes,
            backlog: Arc::clone(self),
        })
    }
}

struct Counted {
    bytes: Bytes,
    backlog: Arc<Backlog>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.backlog.remove(self.bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn there_is_room_again_when_what_was_handed_on_is_dropped() {
        let backlog = Arc::new(Backlog::default());
        let large = backlog.counted(Bytes::from(vec![0; BACKLOG_LIMIT]));
        let small = backlog.counted(Bytes::from_static(b"x"));
        let waiting = tokio::spawn({
            let backlog = Arc::clone(&backlog);
            async move { backlog.room().await }
        });
        drop(small);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(large);
        waiting.await.unwrap();
    }
}
