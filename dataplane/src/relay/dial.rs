//! Connects to where a flow leads.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::TcpSocket;

use super::socket::{ProxiedSocket, reset_when_closed};
use crate::tunnel::flow::FlowStream;
use crate::tunnel::reason::Reason;

/// Time that a destination has to answer.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Connects, from `source_ip` if one is given.
///
/// # Errors
/// Why not, as far as the kernel says.
pub(crate) async fn dial(
    source_ip: Option<Ipv4Addr>,
    destination: SocketAddrV4,
) -> Result<ProxiedSocket, Reason> {
    let socket = TcpSocket::new_v4().map_err(|error| reason(&error))?;
    reset_when_closed(&socket).map_err(|error| reason(&error))?;
    if let Some(source_ip) = source_ip {
        bind(&socket, source_ip)?;
    }
    let connecting = socket.connect(SocketAddr::V4(destination));
    match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(Ok(stream)) => Ok(ProxiedSocket::new(stream)),
        Ok(Err(error)) => Err(reason(&error)),
        Err(_) => Err(Reason::TimedOut),
    }
}

/// Connects on behalf of a flow, for as long as the flow waits for it.
///
/// # Errors
/// Why not, or why the flow was cut.
pub(crate) async fn dial_for(
    flow: &FlowStream,
    source_ip: Option<Ipv4Addr>,
    destination: SocketAddrV4,
) -> Result<ProxiedSocket, Reason> {
    tokio::select! {
        dialled = dial(source_ip, destination) => dialled,
        reason = std::future::poll_fn(|cx| flow.poll_cut(cx)) => Err(reason),
    }
}

fn bind(socket: &TcpSocket, source_ip: Ipv4Addr) -> Result<(), Reason> {
    // The port is chosen when the destination is known: 28,000 ports to each destination and not
    // to all of them together.
    setsockopt(socket, sockopt::IpBindAddressNoPort, &true).map_err(|_| Reason::Failed)?;
    socket
        .bind(SocketAddr::from((source_ip, 0)))
        .map_err(|error| match errno(&error) {
            Errno::EADDRNOTAVAIL => Reason::SourceIpMissing,
            _ => reason(&error),
        })
}

/// Whether packets to an address stay on this host. The kernel's word: addresses come and go.
pub(crate) fn is_address_of_host(address: Ipv4Addr) -> bool {
    let source = || -> io::Result<_> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        // Sends nothing. The kernel picks the source address, which for an address of its own is
        // that address.
        socket.connect((address, 9))?;
        Ok(socket.local_addr()?.ip())
    };
    source().is_ok_and(|source| source == address || source.is_loopback())
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or_default())
}

fn reason(error: &io::Error) -> Reason {
    match errno(error) {
        Errno::ECONNREFUSED | Errno::ECONNRESET => Reason::Refused,
        Errno::EHOSTUNREACH | Errno::ENETUNREACH | Errno::EHOSTDOWN | Errno::ENETDOWN => {
            Reason::Unreachable
        }
        Errno::ETIMEDOUT => Reason::TimedOut,
        // A local firewall.
        Errno::EPERM | Errno::EACCES => Reason::Forbidden,
        // Every port of the source IP leads to this destination already.
        Errno::EADDRNOTAVAIL
        | Errno::EADDRINUSE
        | Errno::EMFILE
        | Errno::ENFILE
        | Errno::ENOBUFS
        | Errno::ENOMEM => Reason::Exhausted,
        _ => Reason::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_knows_its_own_addresses() {
        assert!(is_address_of_host(Ipv4Addr::LOCALHOST));
        assert!(is_address_of_host(Ipv4Addr::new(127, 1, 2, 3)));
        assert!(!is_address_of_host(Ipv4Addr::new(203, 0, 113, 7)));
    }

    #[tokio::test]
    async fn a_source_ip_that_the_host_does_not_have_is_named_as_the_reason() {
        let source_ip = Ipv4Addr::new(192, 0, 2, 10);
        let destination = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9);
        let refused = dial(Some(source_ip), destination).await.map(drop);
        assert_eq!(refused, Err(Reason::SourceIpMissing));
    }

    #[tokio::test]
    async fn a_port_where_nobody_listens_is_refused() {
        let destination = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1);
        let refused = dial(Some(Ipv4Addr::LOCALHOST), destination).await.map(drop);
        assert_eq!(refused, Err(Reason::Refused));
    }
}
