//! How long a connection is held that cannot be served yet, and how many of pods that are not known.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// Time that a connection is held whose pod may be on its way here, or whose tunnel is coming back.
pub(super) const HOLD: Duration = Duration::from_secs(2);

/// Pods may be on their way for this long after others came. Kubernetes' EndpointSlice
/// controller that has not seen its own last write waits for 1 s before the next, then for 2 s,
/// then for 4 s.
const SETTLING: Duration = Duration::from_secs(20);

/// Longest that a connection waits for its pod, however many others come.
const LONGEST: Duration = Duration::from_secs(10);

/// Connections that may wait for a tunnel at one time.
pub(super) const MAX_WAITING: usize = 1024;

/// Connections that may wait for their pod at one time: of all peers, and of each, so that one
/// that is no listed pod cannot take the place of those that are.
const MAX_HELD: usize = 1024;
const MAX_HELD_OF_A_PEER: usize = 256;

/// When a connection that came at `arrived` is given up, if the last of the pods came at `pods_came`.
pub(super) fn deadline(arrived: Instant, pods_came: Instant) -> Instant {
    let settled = (pods_came + SETTLING).min(arrived + LONGEST);
    settled.max(arrived + HOLD)
}

/// The places of connections that wait for their pod.
#[derive(Default)]
pub(super) struct Held(watch::Sender<Strangers>);

/// Addresses from which connections wait until it is known which pod has them.
#[derive(Clone, Debug, Default)]
pub struct Strangers {
    waiting: usize,
    by_address: HashMap<Ipv4Addr, usize>,
}

impl Strangers {
    /// The addresses.
    pub fn addresses(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.by_address.keys().copied()
    }
}

impl Held {
    /// Who waits. Hears of addresses that come and go, not of each connection.
    pub(super) fn subscribe(&self) -> watch::Receiver<Strangers> {
        self.0.subscribe()
    }

    /// A place for a connection of a peer, free again when it is dropped; `None` if there is none.
    pub(super) fn take(&self, peer: Ipv4Addr) -> Option<Place<'_>> {
        let mut place = None;
        self.0.send_if_modified(|strangers| {
            let of_peer = strangers.by_address.get(&peer).copied().unwrap_or(0);
            if strangers.waiting == MAX_HELD || of_peer == MAX_HELD_OF_A_PEER {
                return false;
            }
            strangers.waiting += 1;
            strangers.by_address.insert(peer, of_peer + 1);
            place = Some(Place { held: self, peer });
            of_peer == 0
        });
        place
    }
}

/// A place that is taken.
pub(super) struct Place<'a> {
    held: &'a Held,
    peer: Ipv4Addr,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.held.0.send_if_modified(|strangers| {
            strangers.waiting -= 1;
            let Some(of_peer) = strangers.by_address.get_mut(&self.peer) else {
                return false;
            };
            *of_peer -= 1;
            let last = *of_peer == 0;
            if last {
                strangers.by_address.remove(&self.peer);
            }
            last
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds that a connection is held that came when `arrived` seconds were over, if the last of
    /// the pods came when `pods_came` were.
    fn check(arrived: u64, pods_came: u64, seconds: u64) {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let held = deadline(after(arrived), after(pods_came)) - after(arrived);
        assert_eq!(held, Duration::from_secs(seconds));
    }

    #[test]
    fn a_connection_is_held_for_as_long_as_its_pod_may_be_on_its_way() {
        check(60, 0, 2);
        check(18, 0, 2);
        check(17, 0, 3);
        check(12, 0, 8);
        check(4, 0, 10);
        check(0, 9, 10);
    }

    #[test]
    fn a_peer_cannot_take_the_places_of_others() {
        let held = Held::default();
        let [greedy, other] = [1, 2].map(|last| Ipv4Addr::new(10, 244, 1, last));
        let places: Vec<_> = (0..MAX_HELD).map_while(|_| held.take(greedy)).collect();
        assert_eq!(places.len(), MAX_HELD_OF_A_PEER);
        assert!(held.take(other).is_some());
        drop(places);
        assert!(held.take(greedy).is_some());
        assert_eq!(held.0.borrow().addresses().count(), 0);
    }

    #[test]
    fn who_asks_for_strangers_hears_of_addresses_and_not_of_each_connection() {
        let held = Held::default();
        let mut strangers = held.subscribe();
        let peer = Ipv4Addr::new(10, 244, 1, 5);
        let mut hears = |expect: &[Ipv4Addr]| {
            let heard = strangers.has_changed().unwrap();
            let addresses: Vec<_> = strangers.borrow_and_update().addresses().collect();
            assert_eq!(addresses, expect);
            heard
        };
        let first = held.take(peer);
        assert!(hears(&[peer]));
        let second = held.take(peer);
        drop(first);
        assert!(!hears(&[peer]));
        drop(second);
        assert!(hears(&[]));
    }

    #[test]
    fn all_peers_together_have_a_bound() {
        let held = Held::default();
        let peers = (0..10).map(|last| Ipv4Addr::new(10, 244, 1, last));
        let takes = peers.flat_map(|peer| std::iter::repeat_n(peer, MAX_HELD_OF_A_PEER));
        let places: Vec<_> = takes.filter_map(|peer| held.take(peer)).collect();
        assert_eq!(places.len(), MAX_HELD);
    }
}
