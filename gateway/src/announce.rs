//! Tells the neighbours of an interface that a source IP is there from now on, so that they do not
//! go on sending to the host that had it before: ARP announcements (RFC 5227, section 2.3).

use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{AddressFamily, LinkAddr, MsgFlags, SockFlag, SockType, bind, send, socket};
use tokio::time::sleep;
use tracing::{debug, warn};

/// How often, and the time between: ANNOUNCE_NUM and ANNOUNCE_INTERVAL of RFC 5227.
const TIMES: u32 = 2;
const INTERVAL: Duration = Duration::from_secs(2);

const MAC_LEN: usize = 6;
/// An Ethernet header and an ARP packet for IPv4.
const FRAME_LEN: usize = 14 + 28;

/// Announces an address. What fails is logged: the address works all the same, as soon as the
/// neighbours ask for it again.
pub async fn announce(address: Ipv4Addr, interface: String) {
    for time in 1..=TIMES {
        match announce_once(address, &interface) {
            Ok(()) => debug!(%address, interface, "announced source IP"),
            Err(Errno::EPERM | Errno::EACCES | Errno::EAFNOSUPPORT) => {
                warn!(
                    %address,
                    interface,
                    "a source IP cannot be announced without CAP_NET_RAW: neighbours that knew \
                     another owner learn of it when they ask again. Run install.sh again: it \
                     grants the capability where assignTo is used"
                );
                return;
            }
            Err(error) => warn!(%address, interface, %error, "a source IP was not announced"),
        }
        if time < TIMES {
            sleep(INTERVAL).await;
        }
    }
}

fn announce_once(address: Ipv4Addr, interface: &str) -> nix::Result<()> {
    let Some(link) = link(interface)? else {
        return Err(Errno::ENODEV);
    };
    let Some(mac) = link.addr().filter(|mac| *mac != [0; MAC_LEN]) else {
        // A loopback or a tunnel: there are no neighbours who ask.
        return Ok(());
    };
    // It belongs to no protocol, so it receives nothing.
    let packet = socket(
        AddressFamily::Packet,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    bind(packet.as_raw_fd(), &link)?;
    send(packet.as_raw_fd(), &frame(mac, address), MsgFlags::empty())?;
    Ok(())
}

/// The interface as an address of the link layer; `None` if there is no such interface.
fn link(interface: &str) -> nix::Result<Option<LinkAddr>> {
    let mut addresses = getifaddrs()?.filter(|address| address.interface_name == interface);
    Ok(addresses.find_map(|address| address.address?.as_link_addr().copied()))
}

/// A request for the address, from the address, to everybody.
fn frame(mac: [u8; MAC_LEN], address: Ipv4Addr) -> [u8; FRAME_LEN] {
    let mut frame = [0; FRAME_LEN];
    frame[..6].fill(0xff);
    frame[6..12].copy_from_slice(&mac);
    // EtherType ARP; Ethernet and IPv4, their address lengths, operation "request".
    frame[12..22].copy_from_slice(&[0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1]);
    frame[22..28].copy_from_slice(&mac);
    frame[28..32].copy_from_slice(&address.octets());
    // The target's hardware address stays zero.
    frame[38..42].copy_from_slice(&address.octets());
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_asks_everybody_for_the_own_address() {
        let frame = frame([2, 0, 0, 0, 0, 7], Ipv4Addr::new(192, 0, 2, 10));
        let expect = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 7, 8, 6, // Ethernet
            0, 1, 8, 0, 6, 4, 0, 1, // ARP request
            2, 0, 0, 0, 0, 7, 192, 0, 2, 10, // sender
            0, 0, 0, 0, 0, 0, 192, 0, 2, 10, // target
        ];
        assert_eq!(frame, expect);
    }

    #[test]
    fn an_interface_that_does_not_exist_is_an_error() {
        let address = Ipv4Addr::new(192, 0, 2, 10);
        assert_eq!(announce_once(address, "nosuch0"), Err(Errno::ENODEV));
    }

    #[test]
    fn a_loopback_has_nobody_to_tell() {
        assert_eq!(announce_once(Ipv4Addr::new(192, 0, 2, 10), "lo"), Ok(()));
    }
}
