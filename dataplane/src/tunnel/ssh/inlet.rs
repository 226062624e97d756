//! Bytes of an ssh channel as the library owns them.
//!
//! The library hands each packet's bytes to the handler as a slice, right after it has put them
//! into the channel's own queue. Taken from there they need not be copied.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use russh::{ChannelMsg, ChannelReadHalf};
use tokio::task::unconstrained;

/// The channel's own queue.
#[derive(Debug)]
pub(super) struct Inlet(pub(super) ChannelReadHalf);

impl Inlet {
    /// The bytes that the handler has just been shown, and everything before them dropped.
    pub(super) fn owned(&mut self, shown: &[u8]) -> Bytes {
        while let Some(message) = self.next() {
            if let ChannelMsg::Data { data } = message
                && std::ptr::eq(data.as_ref(), shown)
            {
                return data;
            }
        }
        Bytes::copy_from_slice(shown)
    }

    /// Drops what is queued and is no bytes: a full queue would stop the connection.
    pub(super) fn forget(&mut self) {
        while self.next().is_some() {}
    }

    fn next(&mut self) -> Option<ChannelMsg> {
        let next = pin!(unconstrained(self.0.wait()));
        match next.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(message) => message,
            Poll::Pending => None,
        }
    }
}
