//! Many connections that are open at the same time and do nothing. Client and server are
//! processes of their own, because of the open files that a process may have.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::input;
use crate::path::{PATIENCE, choose_port_late};

const MESSAGE: usize = 128;
/// Connections that are being made at the same time.
pub(super) const AT_ONCE: usize = 64;
pub(super) const BACKLOG: u32 = 4096;

/// Connections to be held.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct ClientOptions {
    /// The client's own address.
    #[arg(long)]
    from: Ipv4Addr,
    /// What it dials.
    #[arg(long)]
    dial: SocketAddrV4,
    /// How many.
    #[arg(long)]
    pub(super) count: usize,
}

/// How many connections answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Held {
    /// Those that answered.
    pub answered: usize,
    /// Those that were refused, broke, or did not answer.
    pub failed: usize,
}

impl std::ops::Add for Held {
    type Output = Held;

    fn add(self, other: Held) -> Held {
        Held {
            answered: self.answered + other.answered,
            failed: self.failed + other.failed,
        }
    }
}

/// Opens the connections, exchanges a message on each, and writes a [`Held`] as a line of JSON.
/// Each line of standard input makes it exchange another message on each and write again.
///
/// # Errors
/// Standard input or output is closed. Failed connections are no error.
#[tokio::main(flavor = "current_thread")]
pub async fn run_client(options: ClientOptions) -> Result<()> {
    let at_once = Arc::new(Semaphore::new(AT_ONCE));
    let mut opening = JoinSet::new();
    for _ in 0..options.count {
        let permit = Arc::clone(&at_once).acquire_owned().await?;
        opening.spawn(async move {
            let stream = timeout(PATIENCE, open(options)).await;
            drop(permit);
            stream.ok()?.ok()
        });
    }
    let mut streams: Vec<TcpStream> = opening.join_all().await.into_iter().flatten().collect();
    let mut lines = input::lines();
    loop {
        let held = Held {
            answered: streams.len(),
            failed: options.count - streams.len(),
        };
        writeln!(io::stdout(), "{}", serde_json::to_string(&held)?)?;
        if lines.recv().await.is_none() {
            return Ok(());
        }
        streams = exchange_on_all(streams).await;
    }
}

async fn open(options: ClientOptions) -> io::Result<TcpStream> {
    let mut stream = connect(options).await?;
    exchange(&mut stream).await?;
    Ok(stream)
}

pub(super) async fn connect(options: ClientOptions) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    choose_port_late(&socket)?;
    socket.bind(SocketAddr::new(options.from.into(), 0))?;
    socket.connect(options.dial.into()).await
}

async fn exchange(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(&[0x5a; MESSAGE]).await?;
    stream.read_exact(&mut [0; MESSAGE]).await?;
    Ok(())
}

/// Those that still answer.
async fn exchange_on_all(streams: Vec<TcpStream>) -> Vec<TcpStream> {
    let at_once = Arc::new(Semaphore::new(AT_ONCE));
    let mut exchanging = JoinSet::new();
    for mut stream in streams {
        let at_once = Arc::clone(&at_once);
        exchanging.spawn(async move {
            let _permit = at_once.acquire_owned().await.ok()?;
            timeout(PATIENCE, exchange(&mut stream)).await.ok()?.ok()?;
            Some(stream)
        });
    }
    exchanging.join_all().await.into_iter().flatten().collect()
}

/// Answers every message on every connection until standard input ends. Several may listen on
/// one address: the kernel shares connections out.
///
/// # Errors
/// The port is taken.
#[tokio::main(flavor = "current_thread")]
pub async fn run_server(listen: SocketAddrV4) -> Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(listen.into())?;
    let listener = socket
        .listen(BACKLOG)
        .with_context(|| format!("listen on {listen}"))?;
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    tokio::spawn(answer(stream));
                }
                Err(_) => tokio::task::yield_now().await,
            }
        }
    });
    writeln!(io::stdout(), "ready")?;
    input::end().await;
    Ok(())
}

async fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut request = [0; MESSAGE];
    loop {
        stream.read_exact(&mut request).await?;
        stream.write_all(&request).await?;
    }
}
