//! Joins a proxied connection and a flow: bytes both ways, each half with its own end, and an end
//! that is incomplete on one side is a reset on the other.

pub(crate) mod counters;
pub(crate) mod dial;
mod silence;
pub(crate) mod socket;
pub(crate) mod table;
mod watch;

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use tokio::io::Interest;

use crate::tunnel::flow::{Chunk, FlowStream};
use crate::tunnel::frame::MAX_DATA_LEN;
use crate::tunnel::reason::Reason;
use counters::Bytes;
use socket::ProxiedSocket;
use watch::Watch;

/// Bytes that a flow reads at first, and at least. Doubled while reads fill it: a connection that
/// sends little holds little.
const MIN_READ_LEN: usize = 2 * 1024;

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
pub(crate) async fn relay(
    socket: ProxiedSocket,
    flow: FlowStream,
    transferred: &Transferred,
) -> Result<(), Reason> {
    let relayed = both_halves(&socket, &flow, transferred).await;
    match relayed {
        Ok(()) => socket.close_complete(),
        Err(reason) => flow.reset(reason),
    }
    relayed
}

async fn both_halves(
    socket: &ProxiedSocket,
    flow: &FlowStream,
    transferred: &Transferred,
) -> Result<(), Reason> {
    // While it reads, the upload meets an error itself, behind the bytes in front of it.
    let reading = AtomicBool::new(true);
    let mut upload = pin!(upload(socket, flow, transferred, &reading));
    let mut download = pin!(download(socket, flow, transferred));
    let mut vanished = pin!(socket.stream.ready(Interest::ERROR));
    let (mut uploading, mut downloading, mut watching) = (true, true, true);
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
        if !downloading && let Poll::Ready(reason) = flow.poll_cut(cx) {
            return Poll::Ready(Err(reason));
        }
        if !uploading && !downloading {
            return Poll::Ready(Ok(()));
        }
        if watching && vanished.as_mut().poll(cx).is_ready() {
            watching = false;
        }
        if !watching && !reading.load(Ordering::Relaxed) {
            return Poll::Ready(Err(Reason::PeerReset));
        }
        let (_, written) = transferred.totals();
        // A FIN is to be answered too.
        let sent = written + u64::from(!downloading);
        let vanished = watch.poll_vanished(cx, &socket.stream, sent);
        vanished.map(|()| Err(Reason::TimedOut))
    })
    .await
}

/// Socket to flow.
async fn upload(
    socket: &ProxiedSocket,
    flow: &FlowStream,
    transferred: &Transferred,
    reading: &AtomicBool,
) -> Result<(), Broken> {
    let mut read_len = MIN_READ_LEN;
    loop {
        let room = poll_fn(|cx| {
            let room = flow.poll_room(cx);
            reading.store(room.is_ready(), Ordering::Relaxed);
            room
        })
        .await
        .map_err(Broken::Flow)?;
        socket.stream.readable().await.map_err(broken_socket)?;
        let mut chunk = Chunk::with_capacity(read_len.min(room));
        let wanted = read_len.min(room);
        match socket.read(&mut chunk) {
            Ok(0) => {
                flow.finish();
                reading.store(false, Ordering::Relaxed);
                return Ok(());
            }
            Ok(read) => {
                transferred.note_read(read);
                flow.send(chunk);
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
async fn download(
    socket: &ProxiedSocket,
    flow: &FlowStream,
    transferred: &Transferred,
) -> Result<(), Broken> {
    poll_fn(|cx| flow.poll_accepted(cx))
        .await
        .map_err(Broken::Flow)?;
    transferred.accepted.store(true, Ordering::Relaxed);
    loop {
        let mut pieces = flow.receive().await.map_err(Broken::Flow)?;
        if pieces.is_empty() {
            break;
        }
        while !pieces.is_empty() {
            match socket.write(&mut pieces) {
                Ok(written) => transferred.note_written(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    writable_or_cut(socket, flow).await?;
                }
                Err(error) => return Err(broken_socket(error)),
            }
        }
    }
    socket.finish().map_err(broken_socket)
}

/// Waits for a reader that takes its time, but not for one of a flow that is cut.
async fn writable_or_cut(socket: &ProxiedSocket, flow: &FlowStream) -> Result<(), Broken> {
    let mut writable = pin!(socket.stream.writable());
    poll_fn(|cx| {
        if let Poll::Ready(writable) = writable.as_mut().poll(cx) {
            return Poll::Ready(writable.map_err(broken_socket));
        }
        flow.poll_cut(cx).map(|reason| Err(Broken::Flow(reason)))
    })
    .await
}

fn broken_socket(error: io::Error) -> Broken {
    Broken::Socket(match error.kind() {
        io::ErrorKind::TimedOut => Reason::TimedOut,
        _ => Reason::PeerReset,
    })
}
