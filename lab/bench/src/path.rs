//! A way through a contender: who dials what, and who answers where.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Socket, Type};

use crate::network::namespace::Namespace;

/// Longest time that anything may take which is not measured.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks at whether a way carries.
const PAUSE: Duration = Duration::from_millis(20);
const BACKLOG: i32 = 16384;

/// A way from a client to a server.
#[derive(Clone, Debug)]
pub struct Path {
    /// Where the client runs.
    pub client: Namespace,
    /// The client's own address.
    pub from: Ipv4Addr,
    /// What the client dials.
    pub dial: SocketAddrV4,
    /// Where the server runs.
    pub server: Namespace,
    /// Where the server listens.
    pub listen: SocketAddrV4,
}

/// Sizes of a socket's buffers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Buffers {
    /// The kernel finds the size.
    #[default]
    Automatic,
    /// So many bytes for each direction.
    Fixed(usize),
}

impl Buffers {
    fn set(self, socket: &Socket) -> io::Result<()> {
        match self {
            Buffers::Automatic => Ok(()),
            // The kernel doubles what it is told; socket(7).
            Buffers::Fixed(bytes) => socket
                .set_send_buffer_size(bytes / 2)
                .and_then(|()| socket.set_recv_buffer_size(bytes / 2)),
        }
    }
}

/// Lets the kernel choose a socket's port when it is known where to, not when it is bound to an
/// address: one port then serves many destinations. To be called before binding.
///
/// # Errors
/// The kernel refused.
pub fn choose_port_late(socket: &impl AsFd) -> io::Result<()> {
    Ok(setsockopt(socket, sockopt::IpBindAddressNoPort, &true)?)
}

impl Path {
    /// Opens the server's port. Accepting gives up after [`PATIENCE`].
    ///
    /// # Errors
    /// The port is taken.
    pub fn listen(&self, buffers: Buffers) -> Result<TcpListener> {
        let open = || -> io::Result<TcpListener> {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            socket.set_reuse_address(true)?;
            buffers.set(&socket)?;
            // Accepting keeps to the time for receiving; socket(7).
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.bind(&self.listen.into())?;
            socket.listen(BACKLOG)?;
            Ok(socket.into())
        };
        let opened = self.server.enter(open)?;
        opened.with_context(|| format!("listen on {}", self.listen))
    }

    /// Dials.
    ///
    /// # Errors
    /// Refused, or no answer.
    pub fn connect(&self, buffers: Buffers) -> Result<TcpStream> {
        let connected = self.client.enter(|| self.connect_from_inside(buffers))?;
        connected.with_context(|| format!("connect to {}", self.dial))
    }

    /// Dials on a thread that is in the client's namespace already.
    ///
    /// # Errors
    /// Refused, or no answer.
    pub fn connect_from_inside(&self, buffers: Buffers) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_tcp_nodelay(true)?;
        buffers.set(&socket)?;
        choose_port_late(&socket)?;
        socket.bind(&SocketAddrV4::new(self.from, 0).into())?;
        socket.connect_timeout(&self.dial.into(), PATIENCE)?;
        Ok(socket.into())
    }

    /// Waits until a byte gets through and back. `ended` tells whether what should carry has
    /// ended, and how.
    ///
    /// # Errors
    /// It ended, or nothing got through within [`PATIENCE`].
    pub fn wait_until_it_carries(&self, mut ended: impl FnMut() -> Option<String>) -> Result<()> {
        let listener = self.listen(Buffers::Automatic)?;
        listener.set_nonblocking(true)?;
        let begin = Instant::now();
        loop {
            let Err(error) = self.exchange(&listener) else {
                return Ok(());
            };
            if let Some(status) = ended() {
                bail!("a program of it ended: {status}");
            }
            if begin.elapsed() > PATIENCE {
                return Err(error).context("nothing gets through");
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn exchange(&self, listener: &TcpListener) -> Result<()> {
        let mut client = self.connect(Buffers::Automatic)?;
        client.write_all(b"?")?;
        let begin = Instant::now();
        let mut server = loop {
            match listener.accept() {
                Ok((server, _)) => break server,
                Err(error) if begin.elapsed() > Duration::from_secs(1) => bail!(error),
                Err(_) => std::thread::sleep(PAUSE),
            }
        };
        let mut byte = [0];
        for socket in [&client, &server] {
            socket.set_nonblocking(false)?;
            socket.set_read_timeout(Some(PATIENCE))?;
        }
        server.read_exact(&mut byte)?;
        server.write_all(b"!")?;
        client.read_exact(&mut byte)?;
        Ok(())
    }
}
