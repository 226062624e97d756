//! How things get into the cache: made in a draft folder beside their place,
//! then renamed, so that the cache never holds half a thing.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::process::Process;

const PREFIX: &str = ".draft-";

/// A draft folder in `parent`, which is made if need be. Removes those that
/// killed programs left there.
pub fn draft(parent: &Path) -> Result<TempDir> {
    fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
    sweep(parent)?;
    let own = Process::find(std::process::id() as i32)?.context("this program runs")?;
    tempfile::Builder::new()
        .prefix(&format!("{PREFIX}{own} ").replace(' ', "-"))
        .tempdir_in(parent)
        .with_context(|| format!("make a folder in {}", parent.display()))
}

fn sweep(parent: &Path) -> Result<()> {
    let entries = fs::read_dir(parent).with_context(|| format!("list {}", parent.display()))?;
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(is_abandoned) {
            let path = entry.path();
            fs::remove_dir_all(&path).with_context(|| format!("remove {}", path.display()))?;
        }
    }
    Ok(())
}

/// Whether this is the name of a draft whose maker is gone.
fn is_abandoned(name: &str) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX) else {
        return false;
    };
    let mut parts = rest.splitn(3, '-');
    let (Some(pid), Some(start)) = (parts.next(), parts.next()) else {
        return true;
    };
    !format!("{pid} {start}")
        .parse::<Process>()
        .is_ok_and(Process::is_running)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_outlives_the_making_of_another_but_not_its_maker() {
        let parent = tempfile::tempdir().unwrap();
        // Pid 1 started at some other tick.
        let dead = parent.path().join(".draft-1-1-abc");
        let published = parent.path().join("published");
        fs::create_dir(&dead).unwrap();
        fs::create_dir(&published).unwrap();
        let first = draft(parent.path()).unwrap();
        let _second = draft(parent.path()).unwrap();
        assert!(first.path().exists() && published.exists());
        assert!(!dead.exists());
    }
}
