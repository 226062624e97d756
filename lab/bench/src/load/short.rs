//! Short connections: connect, one request, one answer, closed by the server.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::path::{Buffers, PATIENCE, Path, choose_port_late};

const MESSAGE: usize = 128;

/// What came of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Completed connections of a second.
    pub per_second: f64,
    /// Connections that were refused, reset, cut short or never answered.
    pub failed: u64,
}

#[derive(Debug, Default)]
struct Counts {
    done: AtomicU64,
    failed: AtomicU64,
    stop: AtomicBool,
}

/// Keeps `concurrency` connections under way; counts those that complete within `duration` after
/// `warm_up`, and the failures of the whole time.
///
/// # Errors
/// The server's port is taken. Failed connections are no error.
pub fn run(
    path: &Path,
    concurrency: usize,
    warm_up: Duration,
    duration: Duration,
) -> Result<Outcome> {
    let counts = Arc::new(Counts::default());
    let listener = path.listen(Buffers::Automatic)?;
    let (over_tx, over) = oneshot::channel();
    let server = thread::spawn(move || on_a_runtime(serve(listener, over))?);
    let client = {
        let (path, counts) = (path.clone(), Arc::clone(&counts));
        thread::spawn(move || {
            path.client.join()?;
            on_a_runtime(dial_for_ever(path, concurrency, counts))
        })
    };
    thread::sleep(warm_up);
    let (begin, before) = (Instant::now(), counts.done.load(Ordering::Relaxed));
    thread::sleep(duration);
    let (took, after) = (begin.elapsed(), counts.done.load(Ordering::Relaxed));
    counts.stop.store(true, Ordering::Relaxed);
    let joined = |_| anyhow!("a thread panicked");
    client.join().map_err(joined)?.context("dial")?;
    // The server stops last, so that whatever fails here failed on the way.
    drop(over_tx);
    server.join().map_err(joined)?.context("serve")?;
    Ok(Outcome {
        per_second: (after - before) as f64 / took.as_secs_f64(),
        failed: counts.failed.load(Ordering::Relaxed),
    })
}

fn on_a_runtime<T>(work: impl Future<Output = T>) -> Result<T> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(work))
}

async fn dial_for_ever(path: Path, concurrency: usize, counts: Arc<Counts>) {
    let mut dialling = tokio::task::JoinSet::new();
    for _ in 0..concurrency {
        let (path, counts) = (path.clone(), Arc::clone(&counts));
        dialling.spawn(async move {
            while !counts.stop.load(Ordering::Relaxed) {
                let count = match timeout(PATIENCE, one(&path)).await {
                    Ok(Ok(())) => &counts.done,
                    _ => &counts.failed,
                };
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    dialling.join_all().await;
}

async fn one(path: &Path) -> io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    choose_port_late(&socket)?;
    socket.bind(SocketAddr::new(path.from.into(), 0))?;
    let mut stream = socket.connect(path.dial.into()).await?;
    stream.set_nodelay(true)?;
    stream.write_all(&[0x5a; MESSAGE]).await?;
    let mut answer = Vec::with_capacity(2 * MESSAGE);
    stream.read_to_end(&mut answer).await?;
    match answer.len() {
        MESSAGE => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

async fn serve(listener: std::net::TcpListener, over: oneshot::Receiver<()>) -> Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let accept_for_ever = async {
        loop {
            tokio::spawn(answer(listener.accept().await?.0));
        }
    };
    tokio::select! {
        _ = over => Ok(()),
        failed = accept_for_ever => failed,
    }
}

async fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut request = [0; MESSAGE];
    stream.set_nodelay(true)?;
    stream.read_exact(&mut request).await?;
    stream.write_all(&request).await
}
