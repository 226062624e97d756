//! Many connections whose readers do not read, while their senders push as much as is taken. Half
//! of them are pushed by the client, half by the server. Client and server are processes of their
//! own, because of the open files that a process may have.

use std::io::{self, Write};
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::hold::{AT_ONCE, BACKLOG, ClientOptions, Held, connect};
use crate::input;
use crate::path::PATIENCE;

/// What the client says first: who pushes.
const CLIENT_PUSHES: u8 = b'c';
const SERVER_PUSHES: u8 = b's';
/// Bytes that are pushed at once.
const CHUNK: [u8; 16 * 1024] = [0x5a; 16 * 1024];

/// Opens the connections, writes a [`Held`] as a line of JSON, and lets each be pushed full. Each
/// line of standard input makes it write how many bytes it has pushed.
///
/// # Errors
/// Standard input or output is closed. Failed connections are no error.
#[tokio::main(flavor = "current_thread")]
pub async fn run_client(options: ClientOptions) -> Result<()> {
    let at_once = Arc::new(Semaphore::new(AT_ONCE));
    let mut opening = JoinSet::new();
    for number in 0..options.count {
        let permit = Arc::clone(&at_once).acquire_owned().await?;
        let pusher = [CLIENT_PUSHES, SERVER_PUSHES][number % 2];
        opening.spawn(async move {
            let opened = timeout(PATIENCE, open(options, pusher)).await;
            drop(permit);
            Some((pusher, opened.ok()?.ok()?))
        });
    }
    let streams: Vec<_> = opening.join_all().await.into_iter().flatten().collect();
    let held = Held {
        answered: streams.len(),
        failed: options.count - streams.len(),
    };
    let pushed = Arc::new(AtomicU64::new(0));
    // Those that the server pushes are not read.
    let _stuck: Vec<_> = streams
        .into_iter()
        .filter_map(|(pusher, stream)| match pusher {
            CLIENT_PUSHES => {
                tokio::spawn(push(stream, Arc::clone(&pushed)));
                None
            }
            _ => Some(stream),
        })
        .collect();
    let mut lines = input::lines();
    // The empty one with which it is started.
    lines.recv().await.context("no input")?;
    writeln!(io::stdout(), "{}", serde_json::to_string(&held)?)?;
    while lines.recv().await.is_some() {
        writeln!(io::stdout(), "{}", pushed.load(Ordering::Relaxed))?;
    }
    Ok(())
}

async fn open(options: ClientOptions, pusher: u8) -> io::Result<TcpStream> {
    let mut stream = connect(options).await?;
    stream.write_all(&[pusher]).await?;
    stream.read_exact(&mut [0]).await?;
    Ok(stream)
}

async fn push(mut stream: TcpStream, pushed: Arc<AtomicU64>) -> io::Result<()> {
    loop {
        let written = stream.write(&CHUNK).await?;
        pushed.fetch_add(written as u64, Ordering::Relaxed);
    }
}

/// The other side of [`run_client`]. Each line of standard input makes it listen no longer, and
/// write how many bytes it has pushed.
///
/// # Errors
/// The port is taken.
#[tokio::main(flavor = "current_thread")]
pub async fn run_server(listen: SocketAddrV4) -> Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(listen.into())?;
    let listener = socket
        .listen(BACKLOG)
        .with_context(|| format!("listen on {listen}"))?;
    let pushed = Arc::new(AtomicU64::new(0));
    let mut lines = input::lines();
    lines.recv().await.context("no input")?;
    writeln!(io::stdout(), "ready")?;
    let mut more = loop {
        tokio::select! {
            line = lines.recv() => break line,
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                tokio::spawn(serve(stream, Arc::clone(&pushed)));
            }
        }
    };
    drop(listener);
    while more.is_some() {
        writeln!(io::stdout(), "{}", pushed.load(Ordering::Relaxed))?;
        more = lines.recv().await;
    }
    Ok(())
}

async fn serve(mut stream: TcpStream, pushed: Arc<AtomicU64>) -> io::Result<()> {
    let mut pusher = [0];
    stream.read_exact(&mut pusher).await?;
    stream.write_all(&pusher).await?;
    if pusher == [SERVER_PUSHES] {
        return push(stream, pushed).await;
    }
    // It is not read, for as long as this program runs.
    std::future::pending().await
}
