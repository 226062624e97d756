//! What the kernel knows of a TCP connection.

use std::os::fd::AsFd;

use nix::sys::socket::getsockopt;
use nix::{getsockopt_impl, libc, sockopt_impl};

/// What `getsockopt` writes for `TCP_INFO` (`struct tcp_info` of linux/tcp.h), as far as every
/// kernel since 4.9 does.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct TcpInfo {
    state: u8,
    ca_state: u8,
    retransmits: u8,
    /// Probes of a closed window that have no answer.
    pub(crate) probes: u8,
    options: [u8; 4],
    timeouts_and_sizes: [u32; 4],
    /// Segments.
    pub(crate) unacked: u32,
    losses: [u32; 4],
    last_data_sent: u32,
    last_ack_sent: u32,
    last_data_recv: u32,
    /// Milliseconds.
    pub(crate) last_ack_recv: u32,
    paths: [u32; 11],
    rates: [u64; 4],
    segments: [u32; 2],
    /// Bytes.
    pub(crate) notsent: u32,
    /// Microseconds, the least of the last minutes; all ones when unknown.
    pub(crate) min_rtt: u32,
}

sockopt_impl!(
    /// See [`TcpInfo`].
    Info,
    GetOnly,
    libc::IPPROTO_TCP,
    libc::TCP_INFO,
    TcpInfo
);

/// Asks the kernel.
///
/// # Errors
/// It is no TCP socket, or closed.
pub(crate) fn tcp_info(socket: &impl AsFd) -> nix::Result<TcpInfo> {
    getsockopt(socket, Info)
}
