//! How often something may be done again.

use std::time::Duration;

use tokio::time::Instant;

/// Pause after the first time; doubled by each further one, up to the longest.
const SHORTEST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(10);

/// Time of rest after which pauses are short again.
const CALM: Duration = Duration::from_secs(30);

/// Spaces repetitions out, so that neither a failure, nor something that flaps, nor a quarrel
/// about a value becomes a storm.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    due: Instant,
    in_a_row: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            due: Instant::now(),
            in_a_row: 0,
        }
    }
}

impl Pace {
    /// When it may be done again.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// Notes that it was done just now.
    pub fn note(&mut self) {
        let rested = Instant::now().duration_since(self.due);
        self.in_a_row = if rested > CALM {
            0
        } else {
            self.in_a_row.saturating_add(1)
        };
        let doublings = self.in_a_row.saturating_sub(1).min(10);
        self.due = Instant::now() + (SHORTEST * 2_u32.pow(doublings)).min(LONGEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pauses in milliseconds after each of `times`, done as soon as allowed.
    async fn pauses(pace: &mut Pace, times: usize) -> Vec<u128> {
        let mut pauses = vec![];
        for _ in 0..times {
            pace.note();
            pauses.push((pace.due() - Instant::now()).as_millis());
            tokio::time::sleep_until(pace.due()).await;
        }
        pauses
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_to_a_bound() {
        let mut pace = Pace::default();
        assert_eq!(
            pauses(&mut pace, 8).await,
            [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_rest_makes_them_short_again() {
        let mut pace = Pace::default();
        pauses(&mut pace, 6).await;
        tokio::time::sleep(CALM + SHORTEST).await;
        assert_eq!(pauses(&mut pace, 1).await, [250]);
    }
}
