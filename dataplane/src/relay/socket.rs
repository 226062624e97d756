//! A proxied connection, whose end is a reset unless it is said to be complete.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr, SocketAddrV4};
use std::time::Duration;

use bytes::{Buf, Bytes};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use crate::tunnel::flow::Chunk;
use crate::tunnel::reason::Reason;

/// Idle time after which the kernel asks a peer whether it is there, and how often and how many
/// times it asks: one that is not is noticed after a minute. It does not ask while bytes wait to be
/// acknowledged; that is [`super::watch`]'s.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(30))
    .with_interval(Duration::from_secs(10))
    .with_retries(3);

/// Pieces that are written at once.
const MAX_SLICES: usize = 8;

/// Makes a socket one that is reset when it is closed, however that comes about, also by the death
/// of this process. What a listening socket accepts inherits it: no connection is without it for
/// a moment.
///
/// # Errors
/// The kernel refuses an option.
pub(crate) fn reset_when_closed<'s>(socket: impl Into<SockRef<'s>>) -> io::Result<()> {
    let socket = socket.into();
    socket.set_linger(Some(Duration::ZERO))?;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&KEEPALIVE)
}

/// A proxied connection, which is reset unless it is said to be complete.
#[derive(Debug)]
pub(crate) struct ProxiedSocket {
    pub(super) stream: TcpStream,
}

impl ProxiedSocket {
    /// Takes over a connection that is made for it by [`reset_when_closed`].
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream }
    }

    /// Takes over a connection that such a port has accepted, for the worker on which this is called.
    ///
    /// # Errors
    /// It cannot be watched.
    pub(crate) fn accepted(stream: std::net::TcpStream) -> Result<Self, Reason> {
        let stream = TcpStream::from_std(stream).map_err(|_| Reason::Exhausted)?;
        Ok(Self::new(stream))
    }

    /// This end's address and port, if it is an IPv4 connection that still has one.
    pub(crate) fn bound(&self) -> Option<SocketAddrV4> {
        match self.stream.local_addr() {
            Ok(SocketAddr::V4(bound)) => Some(bound),
            _ => None,
        }
    }

    /// Reads what fits into the chunk.
    pub(super) fn read(&self, chunk: &mut Chunk) -> io::Result<usize> {
        self.stream.try_read_buf(&mut chunk.0)
    }

    /// Writes what the kernel takes of some pieces, at least one, and drops it off their front;
    /// how many bytes.
    pub(super) fn write(&self, pieces: &mut VecDeque<Bytes>) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let count = pieces.len().min(MAX_SLICES);
        for (slice, piece) in slices.iter_mut().zip(pieces.iter()) {
            *slice = IoSlice::new(piece);
        }
        let written = self.stream.try_write_vectored(&slices[..count])?;
        let mut left = written;
        while let Some(piece) = pieces.front_mut() {
            if piece.len() > left {
                piece.advance(left);
                break;
            }
            left -= piece.len();
            pieces.pop_front();
        }
        Ok(written)
    }

    /// Says that no more will be written.
    pub(super) fn finish(&self) -> io::Result<()> {
        SockRef::from(&self.stream).shutdown(Shutdown::Write)
    }

    /// Closes without a reset: both halves are complete.
    pub(crate) fn close_complete(self) {
        // An error means that the peer is gone.
        let _ = SockRef::from(&self.stream).set_linger(None);
    }
}
