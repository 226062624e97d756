//! `down`: nothing of the lab is left, whatever state it was in.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context, Result};

use crate::progress::Progress;
use crate::{cgroup, host, paths, supply, up};

/// Whether the cache goes as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// The next `up` is quick.
    Keep,
    /// The next `up` builds everything again.
    Purge,
}

/// Takes the lab down. Says so when there is none.
///
/// # Errors
/// Everything that could not be removed; the rest is gone nevertheless.
pub fn down(progress: &Progress, cache: Cache) -> Result<()> {
    supply::check_machine()?;
    let _lock = up::lock()?;
    if traces()?.is_empty() {
        progress.say("The lab is down already; nothing to do.");
    } else {
        progress.step("take the lab down", clear)?;
    }
    if cache == Cache::Purge {
        let folder = paths::cache()?;
        progress.step("remove the cache", || remove_tree(&folder).map(|_| ()))?;
    }
    Ok(())
}

/// What there is of the lab on this machine, in words; empty when nothing is.
pub fn traces() -> Result<Vec<String>> {
    let mut found = Vec::new();
    let processes = cgroup::processes()?.len();
    if processes > 0 {
        found.push(format!("{processes} processes"));
    }
    if !cgroup::folders()?.is_empty() {
        found.push("control groups".into());
    }
    if host::has_netns_names() {
        found.push("network names".into());
    }
    if Path::new(paths::STATE).exists() {
        found.push("files".into());
    }
    Ok(found)
}

/// Ends and removes everything of the lab.
pub fn clear() -> Result<()> {
    // The processes hold all the rest: with the last process of a host its
    // namespaces go, and with those its mounts, interfaces and rules.
    let killed = cgroup::kill_all().map(|_| ());
    let groups = cgroup::remove().map(|_| ());
    let names = host::unname_netns().map(|_| ());
    let files = remove_tree(Path::new(paths::STATE)).map(|_| ());
    // All of them are tried; the first failure is the one to tell.
    killed.and(groups).and(names).and(files)
}

fn remove_tree(folder: &Path) -> Result<bool> {
    match fs::remove_dir_all(folder) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("remove {}", folder.display())),
    }
}
