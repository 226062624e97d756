//! The socket under ssh, whose writes never make a reader wait.
//!
//! The ssh library reads and writes in one task and finishes a write before it reads again, so two
//! ends that both write into full sockets would wait for each other for ever. Here a write is
//! always taken: what the kernel does not take at once goes into a queue that a task of its own
//! empties. What keeps that queue short is [`Backlog`], which the tunnel's writer waits for; what
//! comes past it (answers of ssh itself) has a limit of its own, at which the connection ends.

use std::collections::VecDeque;
use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::backlog::Backlog;

/// Bytes in the queue at which the other end is taken for one that does not read on purpose.
const MAX_QUEUED: usize = 8 * 1024 * 1024;
/// Bytes read from the kernel at once.
const READ_LEN: usize = 128 * 1024;
/// Bytes that the kernel may hold without having sent them: more would only wait there.
const NOT_SENT_LIMIT: u32 = 128 * 1024;

/// The socket under ssh. The task that empties its queue ends when this is dropped.
pub(crate) struct SshSocket {
    shared: Arc<Shared>,
    read: Vec<u8>,
    read_at: usize,
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

/// Ends the connection from outside.
#[derive(Clone)]
pub(crate) struct SocketCutter(Weak<Shared>);

impl SocketCutter {
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
        let shared = Arc::new(Shared {
            stream,
            queue: Mutex::default(),
            queued: Notify::new(),
            backlog,
        });
        tokio::spawn(empty_queue(Arc::clone(&shared)));
        Ok(Self {
            shared,
            read: Vec::new(),
            read_at: 0,
        })
    }

    pub(crate) fn cutter(&self) -> SocketCutter {
        SocketCutter(Arc::downgrade(&self.shared))
    }
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
        let this = &mut *self;
        loop {
            if this.read_at < this.read.len() {
                let taken = buf.remaining().min(this.read.len() - this.read_at);
                buf.put_slice(&this.read[this.read_at..this.read_at + taken]);
                this.read_at += taken;
                return Poll::Ready(Ok(()));
            }
            std::task::ready!(this.shared.stream.poll_read_ready(cx))?;
            this.read.clear();
            this.read_at = 0;
            this.read.reserve_exact(READ_LEN);
            match this.shared.stream.try_read_buf(&mut this.read) {
                Ok(0) => return Poll::Ready(Ok(())),
                Ok(_) => {}
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
