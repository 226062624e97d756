//! Pure: when each packet of one direction arrives, if it does.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::profile::Profile;

/// Packets on their way, first sent first.
#[derive(Debug)]
pub struct Queue<P> {
    on_the_way: VecDeque<(Instant, P)>,
    /// When the wire is free again.
    wire_free: Option<Instant>,
    random: StdRng,
}

impl<P> Queue<P> {
    /// An empty one. The direction's number keeps two directions of one seed apart.
    pub fn new(seed: u64, direction: u64) -> Self {
        Self {
            on_the_way: VecDeque::new(),
            wire_free: None,
            random: StdRng::seed_from_u64(seed.wrapping_mul(2).wrapping_add(direction)),
        }
    }

    /// Sends a packet that is `bytes` long on the wire; tells whether it was put on its way.
    pub fn send(&mut self, packet: P, bytes: u64, now: Instant, profile: &Profile) -> bool {
        let begin = self.wire_free.map_or(now, |free| free.max(now));
        if begin - now > profile.time_on_the_wire(profile.queue) {
            return false;
        }
        let end = begin + profile.time_on_the_wire(bytes);
        self.wire_free = Some(end);
        // It is lost on the way, after it took its turn.
        if profile.loss > 0.0 && self.random.random_bool(profile.loss) {
            return false;
        }
        self.on_the_way.push_back((end + profile.delay, packet));
        true
    }

    /// The next packet, if it has arrived.
    pub fn arrived(&mut self, now: Instant) -> Option<P> {
        let (at, _) = self.on_the_way.front()?;
        if *at > now {
            return None;
        }
        self.on_the_way.pop_front().map(|(_, packet)| packet)
    }

    /// Time until the next packet arrives; `None` if there is none.
    pub fn next_arrival(&self, now: Instant) -> Option<Duration> {
        let (at, _) = self.on_the_way.front()?;
        Some(at.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(rate: Option<u64>, loss: f64, queue: u64) -> Profile {
        Profile {
            delay: Duration::from_millis(25),
            rate,
            loss,
            queue,
            seed: 1,
        }
    }

    #[test]
    fn packets_wait_for_the_wire_and_then_for_the_delay() {
        let profile = profile(Some(1_000_000_000), 0.0, 1_000_000);
        let mut queue = Queue::new(1, 0);
        let now = Instant::now();
        for number in 0..3 {
            assert!(queue.send(number, 1500, now, &profile));
        }
        for number in 0..3 {
            let at = now + Duration::from_micros(25_000 + 12 * (number + 1));
            assert_eq!(queue.arrived(at - Duration::from_nanos(1)), None);
            assert_eq!(queue.arrived(at), Some(number));
        }
        assert_eq!(queue.next_arrival(now), None);
    }

    #[test]
    fn what_does_not_fit_into_the_queue_is_dropped() {
        let profile = profile(Some(1_000_000), 0.0, 3000);
        let mut queue = Queue::new(1, 0);
        let now = Instant::now();
        let sent = (0..10)
            .filter(|n| queue.send(*n, 1500, now, &profile))
            .count();
        // Two that wait, and the one on the wire.
        assert_eq!(sent, 3);
    }

    #[test]
    fn loss_is_the_share_that_was_asked_for_and_repeats_with_its_seed() {
        let profile = profile(None, 0.01, 0);
        let lost = |seed| {
            let mut queue = Queue::new(seed, 0);
            let now = Instant::now();
            let lost = (0..100_000).filter(|n| !queue.send(*n, 1500, now, &profile));
            lost.collect::<Vec<_>>()
        };
        assert_eq!(lost(1), lost(1));
        assert_ne!(lost(1), lost(2));
        let of_a_million: usize = (1..=10).map(|seed| lost(seed).len()).sum();
        assert!((9_700..10_300).contains(&of_a_million), "{of_a_million}");
    }
}
