//! A TCP proxy that does nothing but copy: the ceiling for everything that stands between two
//! TCP connections.

use std::io::{self, Write};
use std::net::SocketAddrV4;

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::input;

/// Bytes that are copied at once.
const BUFFER: usize = 64 * 1024;
/// Connections that the kernel holds until they are accepted.
const BACKLOG: u32 = 4096;

/// Where it listens and where each leads.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// A port that leads to another, as LISTEN=DIAL.
    #[arg(long = "leg", value_parser = leg, required = true)]
    legs: Vec<(SocketAddrV4, SocketAddrV4)>,
}

fn leg(text: &str) -> Result<(SocketAddrV4, SocketAddrV4), String> {
    let (listen, dial) = text.split_once('=').ok_or("write LISTEN=DIAL")?;
    let parse = |text: &str| {
        text.parse()
            .map_err(|_| format!("{text} is no ADDRESS:PORT"))
    };
    Ok((parse(listen)?, parse(dial)?))
}

/// Carries until standard input ends. Writes `ready` once every port is open.
///
/// # Errors
/// A port is taken.
#[tokio::main]
pub async fn run(options: &Options) -> Result<()> {
    for (listen, dial) in options.legs.iter().copied() {
        let listener = listen_on(listen).with_context(|| format!("listen on {listen}"))?;
        tokio::spawn(accept(listener, dial));
    }
    writeln!(io::stdout(), "ready")?;
    input::end().await;
    Ok(())
}

fn listen_on(address: SocketAddrV4) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address.into())?;
    socket.listen(BACKLOG)
}

async fn accept(listener: TcpListener, dial: SocketAddrV4) {
    loop {
        match listener.accept().await {
            Ok((accepted, _)) => {
                tokio::spawn(carry(accepted, dial));
            }
            // No open file is left: wait for one.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

/// Whatever fails ends this connection only.
async fn carry(mut accepted: TcpStream, dial: SocketAddrV4) -> io::Result<()> {
    let mut dialled = TcpStream::connect(dial).await?;
    accepted.set_nodelay(true)?;
    dialled.set_nodelay(true)?;
    tokio::io::copy_bidirectional_with_sizes(&mut accepted, &mut dialled, BUFFER, BUFFER).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leg_is_two_addresses() {
        let (listen, dial) = leg("10.244.0.2:80=203.0.113.7:8000").unwrap();
        assert_eq!(listen.to_string(), "10.244.0.2:80");
        assert_eq!(dial.to_string(), "203.0.113.7:8000");
        leg("10.244.0.2:80").unwrap_err();
        leg("10.244.0.2=203.0.113.7:8000").unwrap_err();
    }
}
