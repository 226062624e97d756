//! Looks at a proxied connection now and then, for as long as its peer owes an answer.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use nix::sys::socket::getsockopt;
use nix::{getsockopt_impl, libc, sockopt_impl};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::silence::{Seen, Silence, Verdict};

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What `getsockopt` writes for `TCP_INFO` (`struct tcp_info` of linux/tcp.h), as far as every
/// kernel since 4.9 does.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct TcpInfo {
    state: u8,
    ca_state: u8,
    retransmits: u8,
    /// Probes of a closed window that have no answer.
    probes: u8,
    options: [u8; 4],
    timeouts_and_sizes: [u32; 4],
    /// Segments.
    unacked: u32,
    losses: [u32; 4],
    last_data_sent: u32,
    last_ack_sent: u32,
    last_data_recv: u32,
    /// Milliseconds.
    last_ack_recv: u32,
    paths: [u32; 11],
    rates: [u64; 4],
    segments: [u32; 2],
    /// Bytes.
    notsent: u32,
    min_rtt: u32,
}

sockopt_impl!(
    /// See [`TcpInfo`].
    Info,
    GetOnly,
    libc::IPPROTO_TCP,
    libc::TCP_INFO,
    TcpInfo
);

/// Watches one peer. An idle one costs nothing.
#[derive(Debug, Default)]
pub(super) struct Watch {
    silence: Silence,
    next_look: Option<Pin<Box<Sleep>>>,
    sent: u64,
}

impl Watch {
    /// Ready when the peer has vanished. `sent` changes with all that is sent to it.
    pub(super) fn poll_vanished(
        &mut self,
        cx: &mut Context<'_>,
        stream: &TcpStream,
        sent: u64,
    ) -> Poll<()> {
        if self.sent != sent {
            self.sent = sent;
            self.next_look
                .get_or_insert_with(|| Box::pin(sleep(LOOK_EVERY)));
        }
        while let Some(next_look) = &mut self.next_look {
            ready!(next_look.as_mut().poll(cx));
            match self.look(stream) {
                Verdict::Vanished => return Poll::Ready(()),
                Verdict::Answered => self.next_look = None,
                Verdict::Asked => self.next_look = Some(Box::pin(sleep(LOOK_EVERY))),
            }
        }
        Poll::Pending
    }

    fn look(&mut self, stream: &TcpStream) -> Verdict {
        let Ok(info) = getsockopt(stream, Info) else {
            // Whoever reads or writes learns what became of the socket.
            return Verdict::Answered;
        };
        let seen = Seen {
            unanswered: info.unacked > 0 || info.probes > 0,
            waiting: info.notsent > 0,
            since_answer: Duration::from_millis(info.last_ack_recv.into()),
        };
        self.silence.judge(seen, Instant::now())
    }
}
