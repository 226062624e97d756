//! Memory of processes: what each has for itself and its share of what it shares.

use std::fs;

/// Proportional set size of these processes in sum, in bytes; see proc_pid_smaps_rollup(5).
pub fn proportional_set_size(pids: &[i32]) -> u64 {
    pids.iter().filter_map(|pid| one(*pid)).sum()
}

/// Most memory that a process had in its life, in bytes, with what it shares; see
/// proc_pid_status(5).
pub fn peak(pid: i32) -> Option<u64> {
    kilobytes(pid, "status", "VmHWM:")
}

fn one(pid: i32) -> Option<u64> {
    kilobytes(pid, "smaps_rollup", "Pss:")
}

/// A line of a file of a process, in bytes.
fn kilobytes(pid: i32, file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn touched_memory_shows() {
        let me = [std::process::id() as i32];
        let before = proportional_set_size(&me);
        let touched = std::hint::black_box(vec![1_u8; 32 << 20]);
        let after = proportional_set_size(&me);
        let peak = peak(me[0]).unwrap();
        assert!(peak >= 32 << 20, "{peak}");
        assert!(
            after > before + (24 << 20),
            "{before} {after} {}",
            touched.len()
        );
    }
}
