//! The external server: answers HTTP with a page that names the peer, and
//! writes down who came. A log line is on disk before the answer is sent.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// How long a client may take for its request.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest request head that is read, in bytes.
const HEAD_LIMIT: u64 = 16 * 1024;

/// One line of the access log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Milliseconds since 1970.
    pub time_ms: u64,
    /// Who: as the server's socket says.
    pub peer: SocketAddr,
    /// `None` for the connection itself, `GET /path` for a request on it.
    pub request: Option<String>,
}

/// Serves until it is killed.
///
/// # Errors
/// The address or the log file cannot be had.
pub fn serve(listen: SocketAddr, access_log: &Path) -> Result<()> {
    let log = File::options()
        .create(true)
        .append(true)
        .open(access_log)
        .with_context(|| format!("open the access log {}", access_log.display()))?;
    let log = Arc::new(Mutex::new(log));
    let listener = TcpListener::bind(listen).with_context(|| format!("listen on {listen}"))?;
    for stream in listener.incoming() {
        // An error here belongs to one connection that went before we took it.
        let Ok(stream) = stream else { continue };
        let log = Arc::clone(&log);
        std::thread::spawn(move || {
            if let Err(error) = attend(&stream, &log) {
                eprintln!("a connection ended early: {error:#}");
            }
        });
    }
    Ok(())
}

fn attend(stream: &TcpStream, log: &Mutex<File>) -> Result<()> {
    let peer = stream.peer_addr().context("ask for the peer")?;
    record(log, peer, None)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut head = BufReader::new(stream.take(HEAD_LIMIT));
    let mut first = String::new();
    head.read_line(&mut first).context("read the request")?;
    let mut words = first.split_whitespace();
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        // A bare connection, as a port check makes it.
        return Ok(());
    };
    let mut line = String::new();
    while head.read_line(&mut line).context("read the request")? > 2 {
        line.clear();
    }
    record(log, peer, Some(format!("{method} {path}")))?;
    let page = format!("This is the external server. You are {}.\n", peer.ip());
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{page}",
        page.len()
    )
    .context("send the page")
}

fn record(log: &Mutex<File>, peer: SocketAddr, request: Option<String>) -> Result<()> {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("the clock is before 1970")?;
    let access = Access {
        time_ms: u64::try_from(since_1970.as_millis()).context("the clock is out of range")?,
        peer,
        request,
    };
    let mut line = serde_json::to_string(&access)?;
    line.push('\n');
    // A thread that died while it held the log left a whole line or none.
    let mut log = log.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    log.write_all(line.as_bytes())
        .context("write the access log")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn the_log_names_who_came_before_the_answer_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.jsonl");
        let spare = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = spare.local_addr().unwrap();
        drop(spare);
        let served = path.clone();
        std::thread::spawn(move || serve(address, &served));
        let mut stream = loop {
            if let Ok(stream) = TcpStream::connect(address) {
                break stream;
            }
        };
        stream
            .write_all(b"GET /x HTTP/1.1\r\nHost: y\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("You are 127.0.0.1.\n"), "{answer}");
        let log: Vec<Access> = std::fs::read_to_string(&path)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let own = stream.local_addr().unwrap();
        let seen: Vec<_> = log
            .iter()
            .filter(|access| access.peer == own)
            .map(|access| access.request.as_deref())
            .collect();
        assert_eq!(seen, [None, Some("GET /x")]);
    }
}
