//! Looks at a proxied connection now and then, for as long as its peer owes an answer.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::silence::{Seen, Silence, Verdict};
use crate::tcp_info::tcp_info;

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(5);

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
        let Ok(info) = tcp_info(stream) else {
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
