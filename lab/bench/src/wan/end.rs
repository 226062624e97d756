//! One end: a TUN device inside a network namespace.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use tun_rs::{DeviceBuilder, SyncDevice, VIRTIO_NET_HDR_LEN, VirtioNetHdr};

use super::Options;
use crate::network::namespace;

/// Largest packet that the kernel hands over with offloading, and its header.
pub const MAX_PACKET: usize = 65536 + VIRTIO_NET_HDR_LEN;
/// Packets that the kernel keeps while this program is elsewhere: 10 ms at 1 Gbit/s.
const KERNEL_QUEUE: u32 = 1000;
/// IPv4 and TCP headers with time stamps, which each segment of a large packet has again.
const HEADERS: u64 = 52;

/// A TUN device. It is gone with this value.
pub struct End {
    device: SyncDevice,
    offload: bool,
}

impl End {
    /// Makes the interface and brings it up.
    pub fn create(path: &str, options: &Options) -> Result<Self> {
        // The thread stays inside, so it must not be one that does anything else.
        let inside = || -> Result<SyncDevice> {
            namespace::join(path)?;
            let device = DeviceBuilder::new()
                .name(&options.interface)
                .mtu(options.mtu)
                .tx_queue_len(KERNEL_QUEUE)
                .offload(options.offload)
                .build_sync()
                .with_context(|| format!("make interface {} in {path}", options.interface))?;
            device.set_nonblocking(true)?;
            Ok(device)
        };
        let device = std::thread::scope(|scope| {
            scope
                .spawn(inside)
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;
        Ok(Self {
            device,
            offload: options.offload,
        })
    }

    /// The next packet that the kernel sends, in its own form; `None` if there is none.
    pub fn receive<'a>(&self, buffer: &'a mut [u8]) -> io::Result<Option<&'a [u8]>> {
        match self.device.recv(buffer) {
            Ok(length) => Ok(Some(&buffer[..length])),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            // The interface is down: nothing is sent through it.
            Err(error) if error.raw_os_error() == Some(Errno::EIO as i32) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Hands a packet of [`End::receive`] to the kernel. One that it refuses is lost, as on any
    /// way.
    pub fn deliver(&self, packet: &[u8]) {
        let _ = self.device.send(packet);
    }

    /// Bytes that a packet is long on a wire, where it is in segments with headers of their own.
    pub fn length_on_the_wire(&self, packet: &[u8]) -> u64 {
        let length = packet.len() as u64;
        if !self.offload {
            return length;
        }
        let bytes = length.saturating_sub(VIRTIO_NET_HDR_LEN as u64);
        match VirtioNetHdr::decode(packet) {
            Ok(header) if header.gso_size > 0 => {
                let segments = bytes
                    .saturating_sub(HEADERS)
                    .div_ceil(header.gso_size.into());
                bytes + segments.saturating_sub(1) * HEADERS
            }
            _ => bytes,
        }
    }

    /// Waits until the kernel has a packet, at most so long; for ever if `None`.
    pub fn wait(&self, at_most: Option<Duration>) -> io::Result<()> {
        let mut polled = [PollFd::new(self.device.as_fd(), PollFlags::POLLIN)];
        match ppoll(&mut polled, at_most.map(TimeSpec::from), None) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
