//! A gateway host's inside: the Debian that systemd-nspawn boots in it.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::topology::Host;
use crate::{cgroup, host};

/// The pid, on the machine, of the guest's systemd; `None` before it booted.
fn leader(of: Host) -> Result<Option<i32>> {
    for pid in cgroup::processes()? {
        let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else {
            continue;
        };
        if is_guest_init(&status)
            && fs::read_to_string(format!("/proc/{pid}/cgroup"))
                .is_ok_and(|text| text.contains(&format!("/{}/{}/", cgroup::ROOT, of)))
        {
            return Ok(Some(pid));
        }
    }
    Ok(None)
}

/// Whether this /proc/PID/status is that of the first process two pid
/// namespaces down: the machine's, the host's, the guest's.
fn is_guest_init(status: &str) -> bool {
    let pids = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))
        .map(|rest| rest.split_whitespace().collect::<Vec<_>>());
    matches!(pids.as_deref(), Some([_, _, "1"]))
}

/// `nsenter` into the guest, up to the `--`.
pub(super) fn enter(of: Host) -> Result<Command> {
    let pid = leader(of)?.with_context(|| {
        format!(
            "the system of host {of} has not booted yet:\n{}",
            host::tail(of, "guest")
        )
    })?;
    let mut command = host::enter(pid);
    command.arg("--wdns=/root");
    let terminal = std::env::var_os("TERM").unwrap_or_else(|| "dumb".into());
    command
        .env_clear()
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .env("HOME", "/root")
        .env("USER", "root")
        .env("LANG", "C.UTF-8")
        .env("TERM", terminal);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_process_two_namespaces_down_is_the_guests_init() {
        assert!(is_guest_init("Name:\tsystemd\nNSpid:\t4711\t9\t1\n"));
        assert!(!is_guest_init("Name:\tsshd\nNSpid:\t4712\t10\t33\n"));
        assert!(!is_guest_init("Name:\textconn-lab\nNSpid:\t4700\t1\n"));
        assert!(!is_guest_init("Name:\tkthreadd\n"));
    }
}
