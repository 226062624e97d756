//! `dial`: connects to addresses and says how each connection ended. It is how a person, or a
//! program for a person, sees an ExternalService from a pod: the image is there already.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use clap::Args;
use futures::stream::{self, StreamExt};
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// Longest wait for a name, and then for a connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// Most bytes that are read of an answer.
const MOST_RECEIVED: u64 = 16 * 1024;

/// How many connections there are at once.
const AT_ONCE: usize = 16;

/// What to dial.
#[derive(Clone, Debug, Args)]
pub struct DialArgs {
    /// Names or addresses to dial
    #[arg(required = true, value_name = "HOST:PORT")]
    pub to: Vec<String>,

    /// Seconds to wait for the other side to say or end something
    #[arg(long, value_name = "SECONDS", default_value_t = 3)]
    pub hold: u32,

    /// Milliseconds for which each connection lasts at least, for whoever watches the other end
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0)]
    pub linger: u32,

    /// Ask for this path over HTTP, and tell what came back; else nothing is sent
    #[arg(long, value_name = "PATH", value_parser = http_path)]
    pub http_get: Option<String>,
}

/// How a dial went: one line of JSON each.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Dialled {
    /// As given.
    pub to: String,
    /// What the name stands for.
    pub resolved: Vec<String>,
    /// This end's address and port.
    pub local: Option<String>,
    /// How the connection ended.
    pub end: End,
    /// From the first attempt to connect until it ended.
    pub milliseconds: u128,
    /// Why there was no connection.
    pub error: Option<String>,
    /// What came back over HTTP, at most 16 KiB of it; `None` if nothing was asked.
    pub received: Option<String>,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// It stood for as long as it was to be held.
    Held,
    /// The other side sent something.
    Data,
    /// The other side ended it in order.
    Fin,
    /// It was reset.
    Reset,
    /// There was none.
    Failed,
}

/// Dials the addresses, several at once, and writes a line for each in their order.
///
/// Errors if the lines cannot be written; a dial that fails is a line like any other.
pub async fn dial(args: &DialArgs) -> io::Result<()> {
    let dials = args.to.iter().map(|to| dial_one(to, args));
    let mut lines = stream::iter(dials).buffered(AT_ONCE);
    while let Some(dialled) = lines.next().await {
        let line = serde_json::to_string(&dialled)?;
        let mut out = io::stdout();
        writeln!(out, "{line}")?;
        out.flush()?;
    }
    Ok(())
}

async fn dial_one(to: &str, args: &DialArgs) -> Dialled {
    let hold = Duration::from_secs(args.hold.into());
    let linger = Duration::from_millis(args.linger.into());
    let mut dialled = Dialled {
        to: to.to_owned(),
        resolved: vec![],
        local: None,
        end: End::Failed,
        milliseconds: 0,
        error: None,
        received: None,
    };
    let addresses = match resolve(to).await {
        Ok(addresses) => addresses,
        Err(error) => {
            dialled.error = Some(format!("resolve: {error}"));
            return dialled;
        }
    };
    dialled.resolved = addresses.iter().map(|a| a.ip().to_string()).collect();
    let began = Instant::now();
    match connect(&addresses).await {
        Ok(mut stream) => {
            dialled.local = stream.local_addr().ok().map(|a| a.to_string());
            let until = tokio::time::Instant::now() + linger;
            if let Some(path) = &args.http_get {
                let received;
                (dialled.end, received) = ask(&mut stream, to, path, hold).await;
                dialled.received = Some(received);
            } else {
                dialled.end = end(&mut stream, hold).await;
            }
            tokio::time::sleep_until(until).await;
        }
        Err(error) => dialled.error = Some(format!("connect: {error}")),
    }
    dialled.milliseconds = began.elapsed().as_millis();
    dialled
}

async fn resolve(to: &str) -> io::Result<Vec<SocketAddr>> {
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no answer in 5 s");
    let addresses: Vec<_> = timeout(PATIENCE, lookup_host(to))
        .await
        .map_err(late)??
        .collect();
    match addresses.is_empty() {
        true => Err(io::Error::other("the name has no address")),
        false => Ok(addresses),
    }
}

async fn connect(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no answer in 5 s");
    timeout(PATIENCE, TcpStream::connect(addresses))
        .await
        .map_err(late)?
}

async fn end(stream: &mut TcpStream, hold: Duration) -> End {
    let mut byte = [0];
    match timeout(hold, stream.read(&mut byte)).await {
        Err(_) => End::Held,
        Ok(Ok(0)) => End::Fin,
        Ok(Ok(_)) => End::Data,
        Ok(Err(_)) => End::Reset,
    }
}

/// Sends a request, and reads until the other side ends the connection or has said enough.
async fn ask(stream: &mut TcpStream, to: &str, path: &str, hold: Duration) -> (End, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n\r\n");
    if stream.write_all(request.as_bytes()).await.is_err() {
        return (End::Reset, String::new());
    }
    let mut received = Vec::new();
    let mut answer = stream.take(MOST_RECEIVED);
    let end = match timeout(hold, answer.read_to_end(&mut received)).await {
        Ok(Err(_)) => End::Reset,
        _ if !received.is_empty() => End::Data,
        Err(_) => End::Held,
        Ok(Ok(_)) => End::Fin,
    };
    (end, String::from_utf8_lossy(&received).into_owned())
}

/// A path that stays one word of the request.
fn http_path(path: &str) -> Result<String, String> {
    if path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(path.to_owned())
    } else {
        Err("it must begin with a slash and hold no space".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn args(linger: u32, http_get: Option<&str>) -> DialArgs {
        DialArgs {
            to: vec![],
            hold: 1,
            linger,
            http_get: http_get.map(str::to_owned),
        }
    }

    /// Dials an end that does `then` with the connection.
    async fn against<F>(then: impl FnOnce(TcpStream) -> F + Send + 'static) -> Dialled
    where
        F: Future<Output = ()> + Send,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap().to_string();
        let other = tokio::spawn(async move { then(listener.accept().await.unwrap().0).await });
        let dialled = dial_one(&to, &args(0, None)).await;
        other.abort();
        dialled
    }

    #[tokio::test]
    async fn the_ways_in_which_a_connection_ends_are_told_apart() {
        let held = against(|stream| async move {
            tokio::time::sleep(Duration::from_secs(60)).await;
            drop(stream);
        });
        assert_eq!(held.await.end, End::Held);
        let data = against(|mut stream| async move { stream.write_all(b"x").await.unwrap() });
        assert_eq!(data.await.end, End::Data);
        let fin = against(|mut stream| async move { stream.shutdown().await.unwrap() });
        assert_eq!(fin.await.end, End::Fin);
        let reset = against(|stream| async move { stream.set_zero_linger().unwrap() });
        assert_eq!(reset.await.end, End::Reset);
    }

    #[tokio::test]
    async fn a_connection_that_is_answered_at_once_lasts_for_whoever_watches() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap().to_string();
        let watcher = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"x").await.unwrap();
            let began = Instant::now();
            stream.read_to_end(&mut vec![]).await.unwrap();
            began.elapsed()
        });
        let dialled = dial_one(&to, &args(300, None)).await;
        assert_eq!(dialled.end, End::Data);
        assert!(watcher.await.unwrap() >= Duration::from_millis(250));
    }

    #[tokio::test]
    async fn what_cannot_be_reached_says_why() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let nobody = listener.local_addr().unwrap().to_string();
        drop(listener);
        let refused = dial_one(&nobody, &args(0, None)).await;
        assert_eq!((refused.end, &refused.local), (End::Failed, &None));
        assert!(refused.error.unwrap().starts_with("connect: "));
        let unknown = dial_one("no-port-given", &args(0, Some("/"))).await;
        assert!(unknown.error.unwrap().starts_with("resolve: "));
    }

    #[tokio::test]
    async fn an_http_answer_is_told_with_its_line() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap().to_string();
        let server = tokio::spawn(async move {
            let (mut stream, peer) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).await.unwrap();
            let answer = format!("HTTP/1.1 200 OK\r\n\r\n{peer}");
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let dialled = dial_one(&to, &args(0, Some("/who"))).await;
        assert_eq!(dialled.end, End::Data);
        assert!(dialled.received.unwrap().ends_with(&dialled.local.unwrap()));
        let request = server.await.unwrap();
        assert!(request.starts_with("GET /who HTTP/1.1\r\n"), "{request}");
        assert_eq!(http_path("/a b").ok().or(http_path("a").ok()), None);
    }

    #[tokio::test]
    async fn a_line_has_the_addresses_of_both_ends() {
        let fin = against(|mut stream| async move { stream.shutdown().await.unwrap() }).await;
        assert_eq!(fin.resolved, ["127.0.0.1"]);
        assert!(fin.local.unwrap().starts_with("127.0.0.1:"));
        assert_eq!(serde_json::to_value(End::Held).unwrap(), "held");
    }
}
