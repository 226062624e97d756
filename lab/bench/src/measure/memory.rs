//! Memory of processes: what each has for itself and its share of what it shares.

use std::fs;

/// Proportional set size of these processes in sum, in bytes; see proc_pid_smaps_rollup(5).
pub fn proportional_set_size(pids: &[i32]) -> u64 {
    pids.iter().filter_map(|pid| one(*pid)).sum()
}

fn one(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find(|line| line.starts_with("Pss:"))?;
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
        assert!(
            after > before + (24 << 20),
            "{before} {after} {}",
            touched.len()
        );
    }
}
