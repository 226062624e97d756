//! Processor time of processes and their descendants.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// Clock ticks of a second in /proc; the same on every Linux.
const TICKS: u64 = 100;

/// A process and everything that descends from it, in no order.
pub fn family(ancestors: &[i32]) -> Vec<i32> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
        if let Some(parent) = stat(pid).and_then(|stat| stat.parse_field(PARENT)) {
            children.entry(parent as i32).or_default().push(pid);
        }
    }
    let mut family = ancestors.to_vec();
    let mut next = 0;
    while let Some(pid) = family.get(next) {
        family.extend(children.remove(pid).unwrap_or_default());
        next += 1;
    }
    family
}

/// Processor time that these processes' threads have used, in user and kernel mode.
pub fn used(pids: &[i32]) -> Duration {
    pids.iter().map(|pid| used_by(*pid)).sum()
}

/// Time since a process began; `None` if there is no such process.
pub fn age(pid: u32) -> Option<Duration> {
    let begin = stat(pid as i32)?.parse_field(START)?;
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let uptime: f64 = uptime.split(' ').next()?.parse().ok()?;
    let age = uptime - begin as f64 / TICKS as f64;
    Some(Duration::from_secs_f64(age.max(0.0)))
}

/// The scheduler's own count, in nanoseconds, of all threads that live.
fn used_by(pid: i32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    let nanoseconds = tasks.into_iter().flatten().flatten().filter_map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// Fields of /proc/PID/stat after the program's name, counted from there; proc_pid_stat(5).
const PARENT: usize = 1;
const START: usize = 19;

struct Stat(String);

impl Stat {
    fn parse_field(&self, number: usize) -> Option<u64> {
        // The name may hold spaces and parentheses.
        let (_, rest) = self.0.rsplit_once(") ")?;
        rest.split(' ').nth(number)?.parse().ok()
    }
}

fn stat(pid: i32) -> Option<Stat> {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .map(Stat)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_of_the_family_and_its_time_counts() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let family = family(&[std::process::id() as i32]);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(family.contains(&(child.id() as i32)));
    }

    #[test]
    fn work_takes_processor_time() {
        let me = [std::process::id() as i32];
        let before = used(&me);
        let mut sum = 0_u64;
        // Threads of other tests end meanwhile, and what they used counts no longer.
        while used(&me) <= before {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(used(&me) > before);
    }

    #[test]
    fn nobody_has_no_age() {
        assert!(age(std::process::id()).is_some());
        assert_eq!(age(u32::MAX / 2), None);
    }

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = Stat("7 (a) b) S 42 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 777 9".to_owned());
        assert_eq!(stat.parse_field(PARENT), Some(42));
        assert_eq!(stat.parse_field(START), Some(777));
    }
}
