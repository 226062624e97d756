//! Joins a proxied connection and a flow: bytes both ways, each half with its own end, and an end
//! that is incomplete on one side is a reset on the other.

pub(crate) mod counters;
pub(crate) mod dial;
pub(crate) mod drain;
mod silence;
pub(crate) mod socket;
pub(crate) mod table;
mod watch;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::Interest;

use crate::tunnel::flow::{Chunk, FlowStream};
use crate::tunnel::frame::{HEADER_LEN, MAX_DATA_LEN};
use crate::tunnel::reason::Reason;
use counters::Bytes;
use socket::ProxiedSocket;
use watch::Watch;

/// Bytes that a flow reads at first, and at least. Doubled while reads fill it: a connection that
/// sends little holds little. With its header it fills a block of memory.
const MIN_READ_LEN: usize = 2 * 1024 - HEADER_LEN;

/// How far one flow came, and the bytes that went through it, as seen from the socket.
#[derive(Debug)]
pub(crate) struct Transferred {
    flow: Bytes,
    /// The same of all flows.
    all: Arc<Bytes>,
    /// Whether the far end has said that it is connected.
    pub(crate) accepted: AtomicBool,
}

impl Transferred {
    /// Nothing yet; what follows counts into `all` too, so that metrics see a flow that lasts.
    pub(crate) fn counted_in(all: &Arc<Bytes>) -> Self {
        Self {
            flow: Bytes::default(),
            all: Arc::clone(all),
            accepted: AtomicBool::new(false),
        }
    }

    fn note_read(&self, bytes: usize) {
        for count in [&self.flow.read, &self.all.read] {
            count.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }

    fn note_written(&self, bytes: usize) {
        for count in [&self.flow.written, &self.all.written] {
            count.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }

    /// Bytes read from and written to the socket.
    pub(crate) fn totals(&self) -> (u64, u64) {
        self.flow.totals()
    }
}

/// Which side ended a half too early.
enum Broken {
    Socket(Reason),
    Flow(Reason),
}

/// Moves bytes until both halves are complete. The flow may still have to be accepted by its
/// other end.
///
/// # Errors
/// One side broke; the other one has been reset, or is when `socket` and `flow` are dropped.
#[expect(
    clippy::manual_async_fn,
    reason = "an async function keeps its arguments twice, for as long as a connection lives"
)]
pub(crate) fn relay(
    socket: ProxiedSocket,
    flow: FlowStream,
    transferred: &Transferred,
) -> impl Future<Output = Result<(), Reason>> + Send {
    async move {
        let relayed = both_halves(&socket, &flow, transferred).await;
        match relayed {
            Ok(()) => socket.close_complete(),
            Err(reason) => flow.reset(reason),
        }
        relayed
    }
}

async fn both_halves(
    socket: &ProxiedSocket,
    flow: &FlowStream,
    transferred: &Transferred,
) -> Result<(), Reason> {
    let relay = &Relay {
        socket,
        flow,
        transferred,
        reading: AtomicBool::new(true),
    };
    let mut upload = pin!(relay.upload());
    let mut download = pin!(relay.download());
    let mut broken = None;
    let (mut uploading, mut downloading) = (true, true);
    let mut watch = Watch::default();
    poll_fn(|cx| {
        if downloading {
            match download.as_mut().poll(cx) {
                Poll::Ready(Ok(())) => downloading = false,
                Poll::Ready(Err(Broken::Socket(reason) | Broken::Flow(reason))) => {
                    return Poll::Ready(Err(reason));
                }
                Poll::Pending => {}
            }
        }
        if uploading {
            match upload.as_mut().poll(cx) {
                // A cut flow is the download's to report, when it has delivered what arrived.
                Poll::Ready(Ok(()) | Err(Broken::Flow(_))) => uploading = false,
                Poll::Ready(Err(Broken::Socket(reason))) => return Poll::Ready(Err(reason)),
                Poll::Pending => {}
            }
        }
        if !downloading && let Poll::Ready(reason) = relay.flow.poll_cut(cx) {
            return Poll::Ready(Err(reason));
        }
        if !uploading && !downloading {
            return Poll::Ready(Ok(()));
        }
        if !relay.reading.load(Ordering::Relaxed) {
            // Boxed: most connections never need it.
            let broken =
                broken.get_or_insert_with(|| Box::pin(relay.socket.stream.ready(Interest::ERROR)));
            if broken.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(Reason::PeerReset));
            }
        }
        let (_, written) = relay.transferred.totals();
        // A FIN is to be answered too.
        let sent = written + u64::from(!downloading);
        let vanished = watch.poll_vanished(cx, &relay.socket.stream, sent);
        vanished.map(|()| Err(Reason::TimedOut))
    })
    .await
}

/// What both halves share.
struct Relay<'a> {
    socket: &'a ProxiedSocket,
    flow: &'a FlowStream,
    transferred: &'a Transferred,
    /// While the upload reads, it meets an error of the socket itself, behind the bytes in front of
    /// it.
    reading: AtomicBool,
}

impl Relay<'_> {
    /// Socket to flow.
    async fn upload(&self) -> Result<(), Broken> {
        let mut read_len = MIN_READ_LEN;
        loop {
            let room = poll_fn(|cx| {
                let room = self.flow.poll_room(cx);
                self.reading.store(room.is_ready(), Ordering::Relaxed);
                room
            })
            .await
            .map_err(Broken::Flow)?;
            poll_fn(|cx| self.socket.stream.poll_read_ready(cx))
                .await
                .map_err(broken_socket)?;
            let wanted = read_len.min(room);
            let mut chunk = Chunk::with_capacity(wanted);
            match self.socket.read(&mut chunk) {
                Ok(0) => {
                    self.flow.finish();
                    self.reading.store(false, Ordering::Relaxed);
                    return Ok(());
                }
                Ok(read) => {
                    self.transferred.note_read(read);
                    if wanted > MIN_READ_LEN && read < wanted / 2 {
                        chunk.trim();
                    }
                    self.flow.send(chunk);
                    if read == wanted {
                        read_len = (2 * read_len).min(MAX_DATA_LEN);
                    } else if read < read_len / 4 {
                        read_len = (read_len / 2).max(MIN_READ_LEN);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(broken_socket(error)),
            }
        }
    }

    /// Flow to socket.
    async fn download(&self) -> Result<(), Broken> {
        poll_fn(|cx| self.flow.poll_accepted(cx))
            .await
            .map_err(Broken::Flow)?;
        self.transferred.accepted.store(true, Ordering::Relaxed);
        loop {
            let mut pieces = VecDeque::new();
            poll_fn(|cx| self.flow.poll_receive(cx, &mut pieces))
                .await
                .map_err(Broken::Flow)?;
            if pieces.is_empty() {
                break;
            }
            while !pieces.is_empty() {
                if !self.write(&mut pieces)? {
                    poll_fn(|cx| self.poll_writable_or_cut(cx)).await?;
                }
            }
        }
        self.socket.finish().map_err(broken_socket)
    }

    /// Writes what the kernel takes; whether it took anything.
    fn write(&self, pieces: &mut VecDeque<bytes::Bytes>) -> Result<bool, Broken> {
        match self.socket.write(pieces) {
            Ok(written) => {
                self.transferred.note_written(written);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(broken_socket(error)),
        }
    }

    /// Waits for a reader that takes its time, but not for one of a flow that is cut.
    fn poll_writable_or_cut(&self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        if let Poll::Ready(writable) = self.socket.stream.poll_write_ready(cx) {
            return Poll::Ready(writable.map_err(broken_socket));
        }
        self.flow
            .poll_cut(cx)
            .map(|reason| Err(Broken::Flow(reason)))
    }
}

fn broken_socket(error: io::Error) -> Broken {
    Broken::Socket(match error.kind() {
        io::ErrorKind::TimedOut => Reason::TimedOut,
        _ => Reason::PeerReset,
    })
}
