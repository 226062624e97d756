//! Pure: whether the peer of a proxied connection has vanished, from what the kernel counts.
//!
//! A peer that does not read is not gone: it answers each probe of its closed window. One that has
//! been asked and says nothing at all is, and the kernel alone would ask it for a quarter of an
//! hour (`tcp_retries2`). `TCP_USER_TIMEOUT` does not tell the two apart.

use std::time::{Duration, Instant};

/// Time that a peer may leave what it was asked without any answer.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A connection at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// Segments that were sent, or probes of a closed window, and no answer to them.
    pub(super) unanswered: bool,
    /// Bytes wait to be sent.
    pub(super) waiting: bool,
    /// Time since the peer acknowledged anything.
    pub(super) since_answer: Duration,
}

/// What to do about a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has answered everything: no need to look again before something is sent.
    Answered,
    /// Look again.
    Asked,
    /// It is gone.
    Vanished,
}

/// Since when a peer is known to have been asked.
#[derive(Debug, Default)]
pub(super) struct Silence {
    asked_at: Option<Instant>,
}

impl Silence {
    pub(super) fn judge(&mut self, seen: Seen, now: Instant) -> Verdict {
        if !seen.unanswered {
            self.asked_at = None;
            return if seen.waiting {
                Verdict::Asked
            } else {
                Verdict::Answered
            };
        }
        // An answer may be older than the question: a window is probed every two minutes at last.
        let asked_at = *self.asked_at.get_or_insert(now);
        let silent = seen
            .since_answer
            .min(now.saturating_duration_since(asked_at));
        if silent >= LIMIT {
            Verdict::Vanished
        } else {
            Verdict::Asked
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Verdicts of looks, each (seconds since the first one, unanswered, waiting, seconds since
    /// the last answer).
    fn verdicts(looks: &[(u64, bool, bool, u64)]) -> Vec<Verdict> {
        let began = Instant::now();
        let mut silence = Silence::default();
        let look = |&(at, unanswered, waiting, since_answer): &(u64, bool, bool, u64)| {
            let seen = Seen {
                unanswered,
                waiting,
                since_answer: Duration::from_secs(since_answer),
            };
            silence.judge(seen, began + Duration::from_secs(at))
        };
        looks.iter().map(look).collect()
    }

    use Verdict::{Answered, Asked, Vanished};

    #[test]
    fn a_peer_that_answers_is_there_however_much_is_on_its_way() {
        let looks = [
            (0, true, true, 0),
            (60, true, true, 1),
            (600, true, true, 2),
        ];
        assert_eq!(verdicts(&looks), [Asked, Asked, Asked]);
    }

    #[test]
    fn a_peer_that_was_asked_and_says_nothing_for_a_minute_is_gone() {
        let looks = [
            (0, true, false, 5),
            (59, true, false, 64),
            (60, true, false, 65),
        ];
        assert_eq!(verdicts(&looks), [Asked, Asked, Vanished]);
    }

    #[test]
    fn a_reader_that_is_stuck_is_there_as_long_as_it_answers_probes() {
        // The last answer is two minutes old when the next probe goes out.
        let looks = [
            (0, false, true, 100),
            (20, true, true, 120),
            (25, false, true, 4),
            (140, true, true, 119),
            (145, false, true, 4),
        ];
        assert_eq!(verdicts(&looks), [Asked; 5]);
    }

    #[test]
    fn a_peer_that_has_answered_everything_is_not_looked_at_again() {
        let looks = [(0, true, false, 1), (5, false, false, 4)];
        assert_eq!(verdicts(&looks), [Asked, Answered]);
    }
}
