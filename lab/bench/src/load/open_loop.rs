//! Requests at a steady rate on one connection, whether the ones before are answered or not, so
//! that one slow answer does not hide the wait of those behind it.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use super::realtime::go_first;
use crate::path::{Buffers, PATIENCE, Path};

/// Bytes of a request and of its answer.
const MESSAGE: usize = 128;

/// Sends `count` requests, one each `interval`; the time from when each was due to its answer, in
/// seconds.
///
/// # Errors
/// The connection was refused, broke, or an answer took longer than [`PATIENCE`].
pub fn run(path: &Path, count: usize, interval: Duration) -> Result<Vec<f64>> {
    let listener = path.listen(Buffers::Automatic)?;
    let client = path.connect(Buffers::Automatic)?;
    let (server, _) = listener.accept().context("nothing got through")?;
    server.set_nodelay(true)?;
    client.set_read_timeout(Some(PATIENCE))?;
    let sending = client.try_clone()?;
    thread::scope(|scope| {
        let echoing = scope.spawn(|| echo(server));
        let begin = Instant::now() + Duration::from_millis(20);
        let due = move |number: usize| begin + interval * number as u32;
        let sender = scope.spawn(move || send(sending, count, due));
        let latencies = receive(client, count, due).context("no answer");
        let joined = |_| anyhow!("a thread panicked");
        sender.join().map_err(joined)?.context("send a request")?;
        echoing.join().map_err(joined)?.context("answer")?;
        latencies
    })
}

fn send(mut client: TcpStream, count: usize, due: impl Fn(usize) -> Instant) -> io::Result<()> {
    go_first();
    for number in 0..count {
        thread::sleep(due(number).saturating_duration_since(Instant::now()));
        client.write_all(&[0; MESSAGE])?;
    }
    Ok(())
}

fn receive(
    mut client: TcpStream,
    count: usize,
    due: impl Fn(usize) -> Instant,
) -> io::Result<Vec<f64>> {
    go_first();
    let mut answer = [0; MESSAGE];
    let mut latencies = Vec::with_capacity(count);
    for number in 0..count {
        client.read_exact(&mut answer)?;
        latencies.push(due(number).elapsed().as_secs_f64());
    }
    Ok(latencies)
}

/// Answers each request until the client ends.
fn echo(mut server: TcpStream) -> io::Result<()> {
    go_first();
    server.set_read_timeout(Some(PATIENCE))?;
    let mut request = [0; MESSAGE];
    loop {
        match server.read_exact(&mut request) {
            Ok(()) => server.write_all(&request)?,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
