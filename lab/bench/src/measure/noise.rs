//! What disturbed a run: time that the hypervisor took away, and other programs.

use std::fs;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde::Serialize;

/// Clock ticks of a second in /proc/stat.
const TICKS: f64 = 100.0;

/// Shares of all processors' time, 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Noise {
    /// Taken by the hypervisor.
    pub stolen: f64,
    /// Used by programs that are not the benchmark's. Work of the kernel that belongs to no
    /// program counts here too.
    pub foreign: f64,
}

/// Where the counts were when a run began.
#[derive(Clone, Copy, Debug)]
pub struct Baseline {
    machine: Ticks,
    own: Duration,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Ticks {
    busy: f64,
    stolen: f64,
    all: f64,
}

impl Baseline {
    /// Takes note of the counts.
    pub fn take() -> Self {
        Self {
            machine: machine(),
            own: own(),
        }
    }

    /// What happened since. `children` is the time of children that still run.
    pub fn noise(&self, children: Duration) -> Noise {
        let machine = machine();
        let own = (own() + children).saturating_sub(self.own).as_secs_f64() * TICKS;
        let all = (machine.all - self.machine.all).max(1.0);
        Noise {
            stolen: (machine.stolen - self.machine.stolen) / all,
            foreign: (machine.busy - self.machine.busy - own).max(0.0) / all,
        }
    }
}

/// This process and the children that have ended.
fn own() -> Duration {
    let sum = [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN]
        .into_iter()
        .filter_map(|who| getrusage(who).ok())
        .map(|usage| usage.user_time() + usage.system_time())
        .fold(0, |sum, time| sum + time.num_microseconds());
    Duration::from_micros(sum.unsigned_abs())
}

fn machine() -> Ticks {
    parse(&fs::read_to_string("/proc/stat").unwrap_or_default())
}

/// First line of /proc/stat: user nice system idle iowait irq softirq steal …; proc_stat(5).
fn parse(text: &str) -> Ticks {
    let fields: Vec<f64> = text
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .take(8)
        .filter_map(|field| field.parse().ok())
        .collect();
    let [user, nice, system, idle, iowait, irq, softirq, stolen] = fields[..] else {
        return Ticks::default();
    };
    let busy = user + nice + system + irq + softirq;
    Ticks {
        busy,
        stolen,
        all: busy + idle + iowait + stolen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_all_processors() {
        let ticks = parse("cpu  10 1 20 60 4 1 2 2 0 0\ncpu0 5 0 0 0 0 0 0 0 0 0\n");
        assert_eq!((ticks.busy, ticks.stolen, ticks.all), (34.0, 2.0, 100.0));
        assert_eq!(parse("nonsense"), Ticks::default());
    }
}
