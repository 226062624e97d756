//! The socket under ssh, whose writes never make a reader wait.
//!
//! The ssh library reads and writes in one task and finishes a write before it reads again, so two
//! ends that both write into full sockets would wait for each other for ever. Here a write is
//! always taken: what the kernel does not take at once goes into a queue that a task of its own
//! empties. What keeps that queue short is [`Backlog`], which the tunnel's writer waits for; what
//! comes past it (answers of ssh itself) has a limit of its own, at which the connection ends.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::Shutdown;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tracing::info;

use super::backlog::Backlog;
use crate::tcp_info::tcp_info;

/// Bytes in the queue at which the other end is taken for one that does not read on purpose.
const MAX_QUEUED: usize = 8 * 1024 * 1024;
/// Bytes that may be read beyond those asked for: the header of the next packet, or a few small
/// packets. What lands here is copied once more, so it is little.
const AHEAD_LEN: usize = 4 * 1024;
/// Bytes that are read before other tasks of this worker get a turn.
const TURN_LEN: usize = 1024 * 1024;
/// Bytes that the kernel may hold without having sent them: more would only wait there.
const NOT_SENT_LIMIT: u32 = 128 * 1024;
/// Round trip from which on the way is a long one, on which packets get lost for no fault of ours.
const LONG_WAY: Duration = Duration::from_millis(5);
/// What goes on at the path's own rate when packets are lost (BBR).
const CONGESTION_CONTROL: &[u8] = b"bbr";

/// The socket under ssh. The task that empties its queue ends when this is dropped.
pub(crate) struct SshSocket {
    shared: Arc<Shared>,
    ahead: Ahead,
    /// Bytes read since others had a turn.
    turn: usize,
}

/// Bytes read beyond those asked for.
struct Ahead {
    buffer: Box<[u8; AHEAD_LEN]>,
    unread: Range<usize>,
}

struct Shared {
    stream: TcpStream,
    queue: Mutex<Queue>,
    queued: Notify,
    backlog: Arc<Backlog>,
}

#[derive(Default)]
struct Queue {
    bytes: VecDeque<u8>,
    failed: Option<io::ErrorKind>,
    closing: bool,
}

/// Looks at the connection and ends it, from outside.
#[derive(Clone)]
pub(crate) struct SocketCutter(Weak<Shared>);

impl SocketCutter {
    /// How long a packet and its acknowledgement take when nothing of ours is queued before them,
    /// if the kernel knows.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        round_trip(&self.0.upgrade()?.stream)
    }

    /// Both ends of the connection see it end at once.
    pub(crate) fn cut(&self) {
        if let Some(shared) = self.0.upgrade() {
            shared.cut();
        }
    }
}

impl SshSocket {
    /// Takes over a connected socket. Sent bytes that stay unanswered for `user_timeout` end it.
    ///
    /// # Errors
    /// The kernel refuses an option: the socket is closed already.
    pub(crate) fn new(
        stream: TcpStream,
        backlog: Arc<Backlog>,
        user_timeout: Duration,
    ) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let socket = SockRef::from(&stream);
        socket.set_tcp_user_timeout(Some(user_timeout))?;
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(Duration::from_secs(15)))?;
        socket.set_tcp_notsent_lowat(NOT_SENT_LIMIT)?;
        if round_trip(&stream).is_some_and(|time| time >= LONG_WAY)
            && let Err(error) = socket.set_tcp_congestion(CONGESTION_CONTROL)
        {
            // Its module is missing, or this process may not choose.
            info!(%error, "this kernel does not let us use BBR: losses will cost more");
        }
        let shared = Arc::new(Shared {
            stream,
            queue: Mutex::default(),
            queued: Notify::new(),
            backlog,
        });
        tokio::spawn(empty_queue(Arc::clone(&shared)));
        Ok(Self {
            shared,
            ahead: Ahead {
                buffer: Box::new([0; AHEAD_LEN]),
                unread: 0..0,
            },
            turn: 0,
        })
    }

    pub(crate) fn cutter(&self) -> SocketCutter {
        SocketCutter(Arc::downgrade(&self.shared))
    }
}

fn round_trip(stream: &TcpStream) -> Option<Duration> {
    let info = tcp_info(stream).ok()?;
    let known = info.min_rtt != u32::MAX;
    known.then(|| Duration::from_micros(info.min_rtt.into()))
}

impl Shared {
    fn cut(&self) {
        // An error means that it has ended already.
        let _ = SockRef::from(&self.stream).shutdown(Shutdown::Both);
    }

    /// Takes all of `bytes`, either into the kernel or into the queue.
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut queue = self.queue.lock();
        if let Some(kind) = queue.failed {
            return Err(kind.into());
        }
        let mut rest = bytes;
        while queue.bytes.is_empty() && !rest.is_empty() {
            match self.stream.try_write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        if rest.is_empty() {
            return Ok(());
        }
        if queue.bytes.len() + rest.len() > MAX_QUEUED {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!(
                    "{} bytes wait and the other end takes none",
                    queue.bytes.len()
                ),
            ));
        }
        queue.bytes.extend(rest);
        self.backlog.add(rest.len());
        self.queued.notify_one();
        Ok(())
    }

    /// Writes what the kernel takes; whether anything is left.
    fn write_queued(&self) -> io::Result<bool> {
        let mut queue = self.queue.lock();
        while !queue.bytes.is_empty() {
            let (front, _) = queue.bytes.as_slices();
            match self.stream.try_write(front) {
                Ok(written) => {
                    queue.bytes.drain(..written);
                    self.backlog.remove(written);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        // What a burst needed is not kept.
        queue.bytes.shrink_to(NOT_SENT_LIMIT as usize);
        Ok(false)
    }
}

/// Empties the queue whenever the kernel has room, until the socket is dropped and all is written.
async fn empty_queue(shared: Arc<Shared>) {
    let failed = loop {
        match shared.write_queued() {
            Ok(true) => {
                if let Err(error) = shared.stream.writable().await {
                    break error;
                }
            }
            Ok(false) if shared.queue.lock().closing => return,
            Ok(false) => shared.queued.notified().await,
            Err(error) => break error,
        }
    };
    let mut queue = shared.queue.lock();
    queue.failed = Some(failed.kind());
    shared.backlog.remove(queue.bytes.len());
    queue.bytes.clear();
    drop(queue);
    // The reader learns of it too.
    shared.cut();
}

impl AsyncRead for SshSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self {
            shared,
            ahead,
            turn,
        } = &mut *self;
        if !ahead.unread.is_empty() {
            let taken = buf.remaining().min(ahead.unread.len());
            let end = ahead.unread.start + taken;
            buf.put_slice(&ahead.buffer[ahead.unread.start..end]);
            ahead.unread.start = end;
            return Poll::Ready(Ok(()));
        }
        if *turn >= TURN_LEN {
            *turn = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            std::task::ready!(shared.stream.poll_read_ready(cx))?;
            let wanted = buf.remaining();
            let mut into = [
                IoSliceMut::new(buf.initialize_unfilled()),
                IoSliceMut::new(ahead.buffer.as_mut_slice()),
            ];
            match shared.stream.try_read_vectored(&mut into) {
                Ok(read) => {
                    *turn += read;
                    buf.advance(read.min(wanted));
                    ahead.unread = 0..read.saturating_sub(wanted);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for SshSocket {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.shared.write(bytes).map(|()| bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(&self.shared.stream).shutdown(Shutdown::Write))
    }
}

impl Drop for SshSocket {
    fn drop(&mut self) {
        self.shared.queue.lock().closing = true;
        self.shared.queued.notify_one();
    }
}
