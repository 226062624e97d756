//! A client and the server that its connection reached, and what each sees of the other.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::pattern;
use crate::path::{Buffers, Path};

const CHUNK: usize = 64 * 1024;
/// Bytes of a message and of its answer.
const MESSAGE: usize = 1000;
/// Longest wait for a sign of the other side.
pub const WAIT: Duration = Duration::from_secs(10);

/// Both ends of a connection.
pub struct Pair {
    /// The end that dialled.
    pub client: TcpStream,
    /// The end that was reached.
    pub server: TcpStream,
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As if everything had been said.
    Fin,
    /// With an error.
    Reset,
    /// Not at all in the given time.
    None,
}

impl Pair {
    /// The client says something and the server answers.
    ///
    /// # Errors
    /// One of them does not hear it within [`WAIT`].
    pub fn exchange(&mut self) -> io::Result<()> {
        let mut message = [0x5a; MESSAGE];
        self.client.write_all(&message)?;
        self.server.read_exact(&mut message)?;
        self.server.write_all(&message)?;
        self.client.read_exact(&mut message)
    }
}

/// Opens some connections.
pub fn open(path: &Path, count: usize, buffers: Buffers) -> Result<Vec<Pair>> {
    let listener = path.listen(buffers)?;
    let pair = |_| {
        let client = path.connect(buffers)?;
        let (server, _) = listener.accept().context("nothing got through")?;
        for end in [&client, &server] {
            end.set_read_timeout(Some(WAIT))?;
            end.set_write_timeout(Some(WAIT))?;
        }
        Ok(Pair { client, server })
    };
    (0..count).map(pair).collect()
}

/// Opens one connection.
pub fn open_one(path: &Path) -> Result<Pair> {
    let mut pairs = open(path, 1, Buffers::Automatic)?;
    pairs.pop().context("one was asked for")
}

/// Writes the first bytes of the pattern.
pub fn send(stream: &mut TcpStream, bytes: u64) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    let mut sent = 0;
    while sent < bytes {
        let length = (bytes - sent).min(CHUNK as u64) as usize;
        pattern::fill(&mut chunk[..length], sent);
        stream.write_all(&chunk[..length])?;
        sent += length as u64;
    }
    Ok(())
}

/// Reads until the stream ends or nothing comes for as long as its read timeout says; how many
/// bytes came and how it ended.
///
/// # Errors
/// A byte that came is not the one that was sent.
pub fn receive(stream: &mut TcpStream) -> Result<(u64, Ending)> {
    let mut chunk = vec![0; CHUNK];
    let mut received = 0;
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return Ok((received, Ending::Fin)),
            Ok(length) => {
                if let Some(at) = pattern::first_difference(&chunk[..length], received) {
                    bail!("byte {at} is wrong");
                }
                received += length as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Ok((received, Ending::None));
            }
            Err(_) => return Ok((received, Ending::Reset)),
        }
    }
}

/// Reads a whole stream.
///
/// # Errors
/// A byte is wrong or missing, or the stream did not end cleanly.
pub fn receive_whole(stream: &mut TcpStream, bytes: u64) -> Result<()> {
    let begin = Instant::now();
    let (received, ending) = receive(stream)?;
    let seconds = begin.elapsed().as_secs_f64();
    ensure!(
        (received, ending) == (bytes, Ending::Fin),
        "{received} of {bytes} bytes came, then {} ({seconds:.1} s)",
        ending.name()
    );
    Ok(())
}

impl Ending {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Ending::Fin => "a clean end",
            Ending::Reset => "a reset",
            Ending::None => "nothing",
        }
    }
}
