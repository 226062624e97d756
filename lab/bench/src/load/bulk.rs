//! As many bytes as go through, on some streams, one way or both ways.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::path::{Buffers, PATIENCE, Path};

/// Bytes that are written or read at once.
const CHUNK: usize = 128 * 1024;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The client sends.
    ToServer,
    /// The server sends.
    ToClient,
    /// Both send at once.
    Both,
}

impl Direction {
    fn to_server(self) -> bool {
        self != Direction::ToClient
    }

    fn to_client(self) -> bool {
        self != Direction::ToServer
    }
}

/// Streams that flow. They are cut when this is dropped.
#[derive(Debug)]
pub struct Bulk {
    counts: Arc<Counts>,
    /// Bytes that have arrived, one count for each reader.
    received: Vec<Arc<AtomicU64>>,
    streams: Vec<TcpStream>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    /// Longest time between two reads of one stream, in nanoseconds.
    longest_gap: AtomicU64,
    /// Writers end their streams.
    finishing: AtomicBool,
}

/// Counts at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Bytes that have arrived, one count for each reader.
    pub received: Vec<u64>,
    /// When.
    pub at: Instant,
}

impl Snapshot {
    /// Bytes that each reader has got since an earlier snapshot.
    pub fn since(&self, before: &Snapshot) -> Vec<f64> {
        let pairs = self.received.iter().zip(&before.received);
        pairs
            .map(|(after, before)| (after - before) as f64)
            .collect()
    }

    /// Bits of a second since an earlier snapshot, of all readers in sum.
    pub fn rate_since(&self, before: &Snapshot) -> f64 {
        let bytes: f64 = self.since(before).into_iter().sum();
        bytes * 8.0 / (self.at - before.at).as_secs_f64()
    }
}

impl Bulk {
    /// Opens the streams and lets them flow.
    ///
    /// # Errors
    /// A stream does not get through.
    pub fn start(
        path: &Path,
        streams: usize,
        direction: Direction,
        buffers: Buffers,
    ) -> Result<Self> {
        let listener = path.listen(buffers)?;
        let mut bulk = Self {
            counts: Arc::default(),
            received: Vec::new(),
            streams: Vec::new(),
            threads: Vec::new(),
        };
        for _ in 0..streams {
            let client = path.connect(buffers)?;
            let (server, _) = listener.accept().context("nothing got through")?;
            if direction.to_server() {
                bulk.flow(&client, &server)?;
            }
            if direction.to_client() {
                bulk.flow(&server, &client)?;
            }
            bulk.streams.extend([client, server]);
        }
        Ok(bulk)
    }

    /// Counts now.
    pub fn snapshot(&self) -> Snapshot {
        let received = self.received.iter();
        Snapshot {
            received: received
                .map(|count| count.load(Ordering::Relaxed))
                .collect(),
            at: Instant::now(),
        }
    }

    /// Longest time for which a stream brought nothing, so far.
    pub fn longest_gap(&self) -> Duration {
        Duration::from_nanos(self.counts.longest_gap.load(Ordering::Relaxed))
    }

    /// Lets every writer come to its end and waits until every reader has seen it. Tells whether
    /// all bytes arrived and every stream ended in time.
    pub fn finish(mut self) -> bool {
        self.counts.finishing.store(true, Ordering::Relaxed);
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE && !self.threads.iter().all(JoinHandle::is_finished) {
            thread::sleep(Duration::from_millis(10));
        }
        let in_time = self.threads.iter().all(JoinHandle::is_finished);
        self.stop();
        let received: u64 = self.snapshot().received.iter().sum();
        in_time && self.counts.sent.load(Ordering::Relaxed) == received
    }

    fn flow(&mut self, from: &TcpStream, to: &TcpStream) -> Result<()> {
        let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
        to.set_read_timeout(Some(PATIENCE))?;
        let counts = Arc::clone(&self.counts);
        self.threads.push(thread::spawn(move || {
            let _ = write_all(&mut from, &counts);
        }));
        let counts = Arc::clone(&self.counts);
        let received = Arc::default();
        self.received.push(Arc::clone(&received));
        self.threads.push(thread::spawn(move || {
            let _ = read_all(&mut to, &counts, &received);
        }));
        Ok(())
    }

    fn stop(&mut self) {
        self.counts.finishing.store(true, Ordering::Relaxed);
        for stream in self.streams.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Bulk {
    fn drop(&mut self) {
        self.stop();
    }
}

fn write_all(stream: &mut TcpStream, counts: &Counts) -> io::Result<()> {
    let chunk = vec![0x5a; CHUNK];
    while !counts.finishing.load(Ordering::Relaxed) {
        let written = stream.write(&chunk)?;
        counts.sent.fetch_add(written as u64, Ordering::Relaxed);
    }
    stream.shutdown(Shutdown::Write)
}

fn read_all(stream: &mut TcpStream, counts: &Counts, received: &AtomicU64) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    let mut last = Instant::now();
    loop {
        let read = stream.read(&mut chunk)?;
        let gap = last.elapsed().as_nanos() as u64;
        counts.longest_gap.fetch_max(gap, Ordering::Relaxed);
        last = Instant::now();
        if read == 0 {
            return Ok(());
        }
        received.fetch_add(read as u64, Ordering::Relaxed);
    }
}
