//! Removal of namespaces and of what runs in them: one's own at the end, and those of a run that
//! was killed at the start of the next one.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::namespace::FOLDER;
use crate::measure::cpu;

const PREFIX: &str = "xc-bench-";

/// Begin of the names of all namespaces that the run with this pid makes.
pub fn prefix(pid: u32) -> String {
    format!("{PREFIX}{pid}-")
}

/// Removes the namespaces whose names begin so, and kills what runs in them. What cannot be
/// removed is left: there is nothing better to do at the end of a run.
pub fn remove(prefix: &str) {
    let names = names(prefix);
    for pid in names.iter().flat_map(|name| processes(name)) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    for name in names {
        let _ = Command::new("ip").args(["netns", "del", &name]).output();
    }
}

/// Removes what runs left behind that did not come to their end.
pub fn remove_of_the_dead() {
    let all = names(PREFIX);
    let dead = all.iter().filter(|name| !is_owned(name));
    let owners: BTreeSet<u32> = dead.filter_map(|name| owner(name)).collect();
    for pid in owners {
        remove(&prefix(pid));
    }
}

fn names(prefix: &str) -> Vec<String> {
    let entries = fs::read_dir(FOLDER).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with(prefix))
        .collect()
}

fn owner(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok()
}

/// Whether the process that made a namespace still runs. A process that is younger than the
/// namespace got the same pid later.
fn is_owned(name: &str) -> bool {
    let made = fs::metadata(Path::new(FOLDER).join(name)).and_then(|file| file.modified());
    let age = made.ok().and_then(|made| made.elapsed().ok());
    match (owner(name).and_then(cpu::age), age) {
        (Some(process), Some(namespace)) => process + Duration::from_secs(1) > namespace,
        _ => false,
    }
}

/// Processes whose main thread is inside the namespace.
fn processes(name: &str) -> Vec<i32> {
    let Ok(namespace) = fs::metadata(Path::new(FOLDER).join(name)) else {
        return Vec::new();
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| {
            fs::metadata(format!("/proc/{pid}/ns/net")).is_ok_and(|inside| {
                (inside.dev(), inside.ino()) == (namespace.dev(), namespace.ino())
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_namespace_tells_whose_it_is() {
        assert_eq!(owner("xc-bench-4711-client"), Some(4711));
        assert_eq!(owner("xc-bench--client"), None);
        assert_eq!(owner("extconn-lab-node1"), None);
        assert_eq!(owner(&format!("{}server", prefix(7))), Some(7));
    }
}
