//! The lab's control groups: one folder `extconn-lab` in each hierarchy.
//!
//! Every process of the lab is below it from its first instruction on, so
//! what is in there is the lab's, also when every file about it is lost.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The folder in each hierarchy.
pub const ROOT: &str = "extconn-lab";

/// The mount points of the cgroup hierarchies in the text of /proc/mounts.
fn hierarchies_in(mounts: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ');
            let (_, at, kind) = (fields.next()?, fields.next()?, fields.next()?);
            matches!(kind, "cgroup" | "cgroup2").then(|| PathBuf::from(at))
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

fn hierarchies() -> Result<Vec<PathBuf>> {
    let mounts = fs::read_to_string("/proc/mounts").context("read /proc/mounts")?;
    let found = hierarchies_in(&mounts);
    if found.is_empty() {
        bail!("no cgroup hierarchy is mounted; mount one at /sys/fs/cgroup");
    }
    Ok(found)
}

/// Moves this process into the group `extconn-lab/<group>` of every hierarchy,
/// making it where it is missing. `group` is relative, such as `node1/daemons`.
pub fn join(group: &str) -> Result<()> {
    for hierarchy in hierarchies()? {
        let folder = make(&hierarchy, group)?;
        fs::write(folder.join("cgroup.procs"), "0")
            .with_context(|| format!("join the cgroup {}", folder.display()))?;
    }
    Ok(())
}

/// Makes `extconn-lab/<group>` in every hierarchy.
pub fn create(group: &str) -> Result<()> {
    for hierarchy in hierarchies()? {
        make(&hierarchy, group)?;
    }
    Ok(())
}

fn make(hierarchy: &Path, group: &str) -> Result<PathBuf> {
    let mut folder = hierarchy.to_path_buf();
    for part in Path::new(ROOT).join(group).components() {
        let parent = folder.clone();
        folder.push(part);
        match fs::create_dir(&folder) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error).with_context(|| format!("make {}", folder.display()));
            }
        }
        // Version 1: a cpuset group takes no process before these are set.
        for file in ["cpuset.cpus", "cpuset.mems"] {
            let own = folder.join(file);
            if matches!(fs::read_to_string(&own), Ok(text) if text.trim().is_empty())
                && let Ok(value) = fs::read_to_string(parent.join(file))
            {
                // Version 2 leaves them empty on purpose, and so does its parent.
                fs::write(&own, value.trim()).ok();
            }
        }
        // Version 2: children have only the controllers that are handed down.
        if parent != hierarchy
            && let Ok(controllers) = fs::read_to_string(parent.join("cgroup.controllers"))
        {
            for controller in controllers.split_whitespace() {
                fs::write(
                    parent.join("cgroup.subtree_control"),
                    format!("+{controller}"),
                )
                .ok();
            }
        }
    }
    Ok(folder)
}

/// The lab's folders in the hierarchies, deepest first.
pub fn folders() -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for hierarchy in hierarchies()? {
        below(&hierarchy.join(ROOT), &mut found)?;
    }
    Ok(found)
}

fn below(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("list {}", folder.display())),
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            below(&entry.path(), found)?;
        }
    }
    found.push(folder.to_path_buf());
    Ok(())
}

/// The pids of every process of the lab, except our own.
pub fn processes() -> Result<BTreeSet<i32>> {
    let own = std::process::id() as i32;
    let mut pids = BTreeSet::new();
    for folder in folders()? {
        // A group may go between the listing and here.
        if let Ok(text) = fs::read_to_string(folder.join("cgroup.procs")) {
            pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
        }
    }
    // 0 stands for a process of a pid namespace that we cannot see.
    pids.retain(|pid| *pid != own && *pid > 0);
    Ok(pids)
}

/// Kills every process of the lab and waits until none is left.
///
/// # Errors
/// Names the processes that would not go within 10 s.
pub fn kill_all() -> Result<usize> {
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut killed = BTreeSet::new();
    loop {
        let left = processes()?;
        if left.is_empty() {
            return Ok(killed.len());
        }
        if Instant::now() > deadline {
            bail!("processes {left:?} of the lab do not die; look at /proc/PID/stack");
        }
        for pid in left {
            // Gone already is as good.
            kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
            killed.insert(pid);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Removes the lab's folders from every hierarchy; `true` if there were any.
///
/// # Errors
/// Names a folder that stays busy for 10 s.
pub fn remove() -> Result<bool> {
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut any = false;
    loop {
        let left = folders()?;
        if left.is_empty() {
            return Ok(any);
        }
        any = true;
        let mut failure = None;
        for folder in left {
            match fs::remove_dir(&folder) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => failure = Some((folder, error)),
            }
        }
        match failure {
            // The last process is gone from the group a moment after its exit.
            Some((folder, error)) if Instant::now() > deadline => {
                return Err(error).with_context(|| format!("remove {}", folder.display()));
            }
            Some(_) => std::thread::sleep(Duration::from_millis(10)),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_of_both_versions_are_found_and_nothing_else() {
        let mounts = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n\
                      cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n\
                      cgroup /data ext4 rw 0 0\n";
        assert_eq!(
            hierarchies_in(mounts),
            [
                PathBuf::from("/sys/fs/cgroup/memory"),
                PathBuf::from("/sys/fs/cgroup/unified")
            ]
        );
    }
}
