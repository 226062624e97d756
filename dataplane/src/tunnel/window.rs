//! Pure: how many bytes of a flow may be on their way to its receiver, and when to allow more.
//!
//! A window begins small and doubles while the sender is held up by it, so that it ends up near
//! the bandwidth-delay product of a flow that is read as fast as it arrives, and stays small for
//! one that is not. Flows of one tunnel that are read about as fast get windows of one size, or
//! else those that came first would keep the larger share of it. What is granted above the
//! beginning comes out of a budget.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::frame::INITIAL_WINDOW;

/// Largest window of one flow: 1 Gbit/s at 130 ms, in bytes.
pub const MAX_WINDOW: u32 = 16 * 1024 * 1024;

/// What counts as the round trip where packets take less: the ends themselves take as long.
const LEAST_ROUND_TRIP: Duration = Duration::from_micros(500);

/// How often a window may double.
const DOUBLINGS: usize = (MAX_WINDOW / INITIAL_WINDOW).ilog2() as usize;

/// Round trips within which half a window is used up if its flow wants more than it gets. A window
/// grows in less than [`WAITS`]; in less than [`FOLLOWS`] only up to the largest of its tunnel:
/// what is on its way for others fills the tunnel for this one too.
const WAITS: u32 = 2;
const FOLLOWS: u32 = 32;

/// Bytes that windows may grow by in sum. One for a tunnel, whose own comes out of the process's.
#[derive(Debug)]
pub struct Budget {
    left: AtomicUsize,
    /// How many windows have doubled once, twice and so on.
    doubled: [AtomicUsize; DOUBLINGS],
    parent: Option<Arc<Budget>>,
}

impl Budget {
    /// A budget of its own.
    pub fn new(bytes: usize) -> Self {
        Self {
            left: AtomicUsize::new(bytes),
            doubled: Default::default(),
            parent: None,
        }
    }

    /// A budget that is taken out of `parent` as it is used.
    pub fn within(parent: Arc<Budget>, bytes: usize) -> Self {
        Self {
            left: AtomicUsize::new(bytes),
            doubled: Default::default(),
            parent: Some(parent),
        }
    }

    fn take(&self, bytes: usize) -> bool {
        let take = |left: usize| left.checked_sub(bytes);
        if self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_err()
        {
            return false;
        }
        if self.parent.as_ref().is_none_or(|parent| parent.take(bytes)) {
            return true;
        }
        self.left.fetch_add(bytes, Ordering::Relaxed);
        false
    }

    /// Counts a window that has another size now.
    fn resized(&self, from: u32, to: u32) {
        for (size, change) in [(from, usize::MAX), (to, 1)] {
            if let Some(before) = (size / INITIAL_WINDOW).ilog2().checked_sub(1) {
                // Adding the greatest number takes one off.
                self.doubled[before as usize].fetch_add(change, Ordering::Relaxed);
            }
        }
    }

    /// The largest window that there is.
    fn largest(&self) -> u32 {
        let some = |count: &AtomicUsize| count.load(Ordering::Relaxed) > 0;
        let doublings = self.doubled.iter().rposition(some).map_or(0, |at| at + 1);
        INITIAL_WINDOW << doublings
    }

    fn give_back(&self, bytes: usize) {
        self.left.fetch_add(bytes, Ordering::Relaxed);
        if let Some(parent) = &self.parent {
            parent.give_back(bytes);
        }
    }
}

/// The peer sent more than it was allowed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sent} bytes were sent where {allowed} were allowed")]
pub struct Overrun {
    /// Bytes that came.
    pub sent: usize,
    /// Bytes that were allowed.
    pub allowed: usize,
}

/// The receiving side of one half of a flow. Numbers are bytes.
#[derive(Debug)]
pub struct ReceiveWindow {
    /// Largest sum of the two below.
    size: u32,
    /// Granted and not arrived.
    outstanding: u32,
    /// Arrived and not read.
    unread: u32,
    /// When more was granted last; `None` before the first time.
    granted_at: Option<Instant>,
    budget: Arc<Budget>,
}

impl ReceiveWindow {
    /// The window of a flow that begins.
    pub fn new(budget: Arc<Budget>) -> Self {
        Self {
            size: INITIAL_WINDOW,
            outstanding: INITIAL_WINDOW,
            unread: 0,
            granted_at: None,
            budget,
        }
    }

    /// Bytes that may be on their way or unread.
    pub fn size(&self) -> usize {
        self.size as usize
    }

    /// Counts bytes that arrived.
    ///
    /// # Errors
    /// They are more than was granted: the peer cannot be trusted any further.
    pub fn arrived(&mut self, bytes: usize) -> Result<(), Overrun> {
        let overrun = Overrun {
            sent: bytes,
            allowed: self.outstanding as usize,
        };
        let bytes = u32::try_from(bytes).map_err(|_| overrun)?;
        self.outstanding = self.outstanding.checked_sub(bytes).ok_or(overrun)?;
        self.unread += bytes;
        Ok(())
    }

    /// Counts bytes that were read, and says how many more to allow when it is time to: half the
    /// window has been used up. `round_trip` is that of an idle tunnel, if it is known: one in
    /// which the flow's own bytes wait would let the window grow by what waits because of it.
    pub fn read(
        &mut self,
        bytes: usize,
        now: Instant,
        round_trip: Option<Duration>,
    ) -> Option<u32> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.unread = self.unread.saturating_sub(bytes);
        if self.grantable() < self.size / 2 {
            return None;
        }
        if self.sender_waits(now, round_trip) {
            self.grow();
        }
        self.granted_at = Some(now);
        let grant = self.grantable();
        self.outstanding += grant;
        Some(grant)
    }

    fn grantable(&self) -> u32 {
        self.size - self.outstanding - self.unread
    }

    /// Half a window was used up so soon that, with twice as much on its way, the sender would have
    /// to wait less.
    fn sender_waits(&self, now: Instant, round_trip: Option<Duration>) -> bool {
        let Some(round_trip) = round_trip else {
            return false;
        };
        let Some(at) = self.granted_at else {
            return true;
        };
        let follows = self.size < self.budget.largest();
        let soon = if follows { FOLLOWS } else { WAITS };
        now.saturating_duration_since(at) < soon * round_trip.max(LEAST_ROUND_TRIP)
    }

    fn grow(&mut self) {
        let larger = self.size.saturating_mul(2).min(MAX_WINDOW);
        if self.budget.take((larger - self.size) as usize) {
            self.budget.resized(self.size, larger);
            self.size = larger;
        }
    }
}

impl Drop for ReceiveWindow {
    fn drop(&mut self) {
        self.budget.resized(self.size, INITIAL_WINDOW);
        self.budget.give_back((self.size - INITIAL_WINDOW) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: usize = INITIAL_WINDOW as usize / 2;
    const ROUND_TRIP: Duration = Duration::from_millis(50);

    fn window(budget: &Arc<Budget>) -> ReceiveWindow {
        ReceiveWindow::new(Arc::clone(budget))
    }

    fn budget(bytes: usize) -> Arc<Budget> {
        Arc::new(Budget::new(bytes))
    }

    /// Lets all that is granted arrive and be read at `now`; what is granted then.
    fn use_up(window: &mut ReceiveWindow, now: Instant) -> u32 {
        let all = window.outstanding as usize;
        window.arrived(all).unwrap();
        window.read(all, now, Some(ROUND_TRIP)).unwrap()
    }

    #[test]
    fn nothing_is_granted_before_half_is_read() {
        let mut window = window(&budget(0));
        window.arrived(2 * HALF).unwrap();
        let now = Instant::now();
        assert_eq!(window.read(HALF - 1, now, None), None);
        assert_eq!(window.read(1, now, None), Some(HALF as u32));
        assert_eq!(window.arrived(HALF), Ok(()));
        assert_eq!(
            window.arrived(1),
            Err(Overrun {
                sent: 1,
                allowed: 0
            })
        );
    }

    #[test]
    fn a_fast_reader_gets_a_window_of_the_bandwidth_delay_product() {
        let mut window = window(&budget(usize::MAX));
        // 100 MB/s: the bandwidth-delay product is 5 MB.
        let mut now = Instant::now();
        for _ in 0..100 {
            let granted = use_up(&mut window, now);
            now += ROUND_TRIP.max(Duration::from_secs_f64(f64::from(granted) / 100e6));
        }
        assert!(
            (5_000_000..=MAX_WINDOW).contains(&window.size),
            "{}",
            window.size
        );
    }

    #[test]
    fn a_slow_reader_keeps_the_window_it_began_with() {
        let mut window = window(&budget(usize::MAX));
        let mut now = Instant::now();
        window.granted_at = Some(now);
        for _ in 0..100 {
            now += 3 * ROUND_TRIP;
            use_up(&mut window, now);
        }
        assert_eq!(window.size, INITIAL_WINDOW);
    }

    /// The window that a flow ends with that uses up half of it in each `period`.
    fn settled(tunnel: &Arc<Budget>, period: Duration) -> u32 {
        let mut window = window(tunnel);
        let mut now = Instant::now();
        window.granted_at = Some(now);
        for _ in 0..20 {
            now += period;
            use_up(&mut window, now);
        }
        window.size
    }

    #[test]
    fn a_flow_that_is_read_as_fast_as_others_gets_as_large_a_window() {
        let tunnel = budget(usize::MAX);
        let queued = 8 * ROUND_TRIP;
        assert_eq!(settled(&tunnel, queued), INITIAL_WINDOW);
        let mut large = window(&tunnel);
        let now = Instant::now();
        for _ in 0..3 {
            use_up(&mut large, now);
        }
        assert_eq!(large.size, 8 * INITIAL_WINDOW);
        assert_eq!(settled(&tunnel, queued), large.size);
        assert_eq!(settled(&tunnel, 40 * ROUND_TRIP), INITIAL_WINDOW);
        drop(large);
        assert_eq!(settled(&tunnel, queued), INITIAL_WINDOW);
    }

    #[test]
    fn windows_grow_within_the_budget_of_tunnel_and_process_and_give_it_back() {
        let process = budget(3 * INITIAL_WINDOW as usize);
        let tunnel = Arc::new(Budget::within(
            Arc::clone(&process),
            2 * INITIAL_WINDOW as usize,
        ));
        let mut first = window(&tunnel);
        let mut second = window(&tunnel);
        let now = Instant::now();
        for _ in 0..5 {
            use_up(&mut first, now);
            use_up(&mut second, now);
        }
        assert_eq!(
            (first.size, second.size),
            (2 * INITIAL_WINDOW, 2 * INITIAL_WINDOW)
        );
        let mut third = window(&process);
        for _ in 0..5 {
            use_up(&mut third, now);
        }
        assert_eq!(third.size, 2 * INITIAL_WINDOW);
        drop((first, second, third));
        assert_eq!(
            process.left.load(Ordering::Relaxed),
            3 * INITIAL_WINDOW as usize
        );
    }
}
