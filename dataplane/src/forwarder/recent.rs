//! What pods have lately opened here, for whoever wants to know whether a connection arrived.

use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::relay::Transferred;
use crate::tunnel::reason::Reason;

/// Peers that are remembered; the one that has been silent longest is forgotten first.
const MAX_PEERS: usize = 512;
/// Connections of one peer that are remembered: a probe of every port a pod may dial, twice.
const MAX_OF_PEER: usize = 64;

/// A connection that a pod opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The pod's end.
    pub peer: SocketAddrV4,
    /// Port that it dialled.
    pub listen: u16,
    /// Source IP that was chosen for it; `None` if nobody listed was behind the peer's address.
    pub source_ip: Option<Ipv4Addr>,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The external server has not answered yet.
    Opening,
    /// The external server accepted it.
    Accepted,
    /// It broke before that.
    Refused(Reason),
}

/// A connection while it is being opened, and what became of it.
#[derive(Debug)]
pub(super) struct Opening {
    peer: SocketAddrV4,
    listen: u16,
    source_ip: OnceLock<Ipv4Addr>,
    transferred: Arc<Transferred>,
    broke: OnceLock<Reason>,
}

impl Opening {
    /// Notes the source IP that was chosen.
    pub(super) fn goes_on_as(&self, source_ip: Ipv4Addr) {
        let _ = self.source_ip.set(source_ip);
    }

    /// Notes why it ended.
    pub(super) fn broke(&self, reason: Reason) {
        let _ = self.broke.set(reason);
    }

    fn opened(&self) -> Opened {
        let outcome = if self.transferred.accepted.load(Ordering::Relaxed) {
            Outcome::Accepted
        } else {
            self.broke
                .get()
                .copied()
                .map_or(Outcome::Opening, Outcome::Refused)
        };
        Opened {
            peer: self.peer,
            listen: self.listen,
            source_ip: self.source_ip.get().copied(),
            outcome,
        }
    }
}

/// The latest connections of each peer.
#[derive(Debug, Default)]
pub(super) struct Recent {
    peers: Mutex<HashMap<Ipv4Addr, OfPeer>>,
    count: AtomicU64,
}

#[derive(Debug, Default)]
struct OfPeer {
    /// Number of its last connection, counted over all peers.
    last: u64,
    openings: VecDeque<Arc<Opening>>,
}

impl Recent {
    /// Remembers a connection.
    pub(super) fn begin(
        &self,
        peer: SocketAddrV4,
        listen: u16,
        transferred: Arc<Transferred>,
    ) -> Arc<Opening> {
        let opening = Arc::new(Opening {
            peer,
            listen,
            source_ip: OnceLock::new(),
            transferred,
            broke: OnceLock::new(),
        });
        let mut peers = self.peers.lock();
        if peers.len() >= MAX_PEERS && !peers.contains_key(peer.ip()) {
            let oldest = peers.iter().min_by_key(|(_, of)| of.last);
            if let Some(oldest) = oldest.map(|(address, _)| *address) {
                peers.remove(&oldest);
            }
        }
        let of_peer = peers.entry(*peer.ip()).or_default();
        of_peer.last = self.count.fetch_add(1, Ordering::Relaxed);
        if of_peer.openings.len() >= MAX_OF_PEER {
            of_peer.openings.pop_front();
        }
        of_peer.openings.push_back(Arc::clone(&opening));
        opening
    }

    /// The latest connections of a peer, in order.
    pub(super) fn of(&self, peer: Ipv4Addr) -> Vec<Opened> {
        let peers = self.peers.lock();
        let openings = peers.get(&peer).map(|of| of.openings.iter());
        openings
            .into_iter()
            .flatten()
            .map(|opening| opening.opened())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::counters::Counters;

    fn peer(host: u8, port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::new(10, 244, 1, host), port)
    }

    fn nothing() -> Arc<Transferred> {
        Arc::new(Counters::default().transferred())
    }

    #[test]
    fn what_became_of_a_connection_is_told_by_its_peer() {
        let recent = Recent::default();
        let transferred = nothing();
        let opening = recent.begin(peer(5, 40001), 8000, Arc::clone(&transferred));
        let outcome = || recent.of(*peer(5, 0).ip())[0].outcome;
        assert_eq!(outcome(), Outcome::Opening);
        opening.goes_on_as(Ipv4Addr::new(192, 0, 2, 10));
        transferred.accepted.store(true, Ordering::Relaxed);
        assert_eq!(outcome(), Outcome::Accepted);
        // However it ends later.
        opening.broke(Reason::PeerReset);
        assert_eq!(outcome(), Outcome::Accepted);
        let other = recent.begin(peer(6, 40002), 8000, nothing());
        other.broke(Reason::UnknownPeer);
        let told = &recent.of(*peer(6, 0).ip())[0];
        assert_eq!(told.outcome, Outcome::Refused(Reason::UnknownPeer));
        assert_eq!(told.source_ip, None);
        assert!(recent.of(*peer(7, 0).ip()).is_empty());
    }

    #[test]
    fn no_more_is_remembered_than_the_bounds_say() {
        let recent = Recent::default();
        for port in 0..2 * MAX_OF_PEER {
            recent.begin(peer(5, port as u16), 8000, nothing());
        }
        let told = recent.of(*peer(5, 0).ip());
        assert_eq!(told.len(), MAX_OF_PEER);
        assert_eq!(told[0].peer.port() as usize, MAX_OF_PEER);
        for host in 0..MAX_PEERS {
            let address = Ipv4Addr::from(0x0af5_0000 + host as u32);
            recent.begin(SocketAddrV4::new(address, 1), 8000, nothing());
        }
        assert_eq!(recent.peers.lock().len(), MAX_PEERS);
        assert!(
            recent.of(*peer(5, 0).ip()).is_empty(),
            "the oldest is forgotten first"
        );
    }
}
