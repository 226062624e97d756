//! What one flow does must not matter to another one.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};

use super::Stage;
use super::pair::{Pair, open, open_one, receive_whole, send};
use crate::load::realtime::go_first;
use crate::path::Buffers;

const LIVE: usize = 50;
/// Time for which messages are exchanged without the stuck reader.
const WITHOUT: Duration = Duration::from_secs(10);
/// The same with it.
const WITH: Duration = Duration::from_secs(60);
const TOO_LONG: Duration = Duration::from_millis(250);
/// Between two messages of a live flow.
const PAUSE: Duration = Duration::from_millis(20);

const STREAMS: usize = 16;
const SMALL: Buffers = Buffers::Fixed(64 * 1024);
/// Each way of each stream.
const BYTES: u64 = 16 << 20;

pub fn stuck_reader(stage: &Stage) -> Result<()> {
    // On a busy machine messages wait without any stuck reader too.
    let without = longest_of_many(stage, WITHOUT)?;
    let Pair {
        client: writer,
        server: _reader,
    } = open_one(&stage.path)?;
    let filling = writer.try_clone()?;
    let filling = thread::spawn(move || fill(filling));
    let with = longest_of_many(stage, WITH)?;
    // A connection that opens beside it is not delayed either.
    let begin = Instant::now();
    open_one(&stage.path).context("open one more")?;
    let opened = begin.elapsed();
    writer.shutdown(Shutdown::Both)?;
    let _ = filling.join();
    let longest = with.max(opened);
    ensure!(
        longest < without + TOO_LONG,
        "one waited for {with:.0?}, without it {without:.0?}; a new one took {opened:.0?}"
    );
    Ok(())
}

/// Exchanges messages on many connections; the longest time that one took on any.
fn longest_of_many(stage: &Stage, exchange: Duration) -> Result<Duration> {
    let live: Vec<_> = open(&stage.path, LIVE, Buffers::Automatic)?
        .into_iter()
        .map(|pair| thread::spawn(move || longest_round(pair, exchange)))
        .collect();
    let mut longest = Duration::ZERO;
    for thread in live {
        let round = thread.join().map_err(|_| anyhow!("a thread panicked"))??;
        longest = longest.max(round);
    }
    Ok(longest)
}

/// Writes for as long as the connection lives.
fn fill(mut writer: TcpStream) {
    while writer.set_write_timeout(None).is_ok() && writer.write_all(&[0; 64 * 1024]).is_ok() {}
}

/// Exchanges messages; the longest time that one took.
fn longest_round(mut pair: Pair, exchange: Duration) -> Result<Duration> {
    go_first();
    let begin = Instant::now();
    let mut longest = Duration::ZERO;
    while begin.elapsed() < exchange {
        let sent = Instant::now();
        pair.exchange().context("a live flow")?;
        longest = longest.max(sent.elapsed());
        thread::sleep(PAUSE);
    }
    Ok(longest)
}

pub fn duplex(stage: &Stage) -> Result<()> {
    let mut threads = Vec::new();
    for Pair { client, server } in open(&stage.path, STREAMS, SMALL)? {
        for end in [client, server] {
            let mut sender = end.try_clone()?;
            let mut receiver = end;
            threads.push(thread::spawn(move || -> Result<()> {
                send(&mut sender, BYTES).context("send")?;
                Ok(sender.shutdown(Shutdown::Write)?)
            }));
            threads.push(thread::spawn(move || receive_whole(&mut receiver, BYTES)));
        }
    }
    let mut broken = Vec::new();
    for thread in threads {
        if let Err(error) = thread.join().map_err(|_| anyhow!("a thread panicked"))? {
            broken.push(format!("{error:#}"));
        }
    }
    if let Some(first) = broken.first() {
        bail!(
            "{} of {} halves broke, as {first}",
            broken.len(),
            4 * STREAMS
        );
    }
    Ok(())
}
