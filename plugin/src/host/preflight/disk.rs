//! Pure: whether the host's disks take what is to be copied.

use super::{HostFacts, Item, Mood, good, unsure};

/// Where the program is put.
const PROGRAM_FOLDER: &str = "/usr/local/bin";

/// Where everything is copied to before it is installed.
const STAGING_FOLDER: &str = "/run";

/// Free space for small files, in KiB.
const SMALL_FILES_KIB: u64 = 1024;

/// Free inodes for everything.
const NEEDED_INODES: u64 = 16;

/// Sizes of what is to be copied to the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Copies {
    /// All of it, in KiB.
    pub staged_kib: u64,
    /// The gateway program, in KiB; 0 if it is there already.
    pub program_kib: u64,
}

/// A disk that is full is in the way only of what is to be copied; a gateway that runs has it
/// said all the same, because it must keep its token.
pub(super) fn disk(facts: &HostFacts, copies: Option<&Copies>) -> Item {
    let mood = if copies.is_some() {
        Mood::Bad
    } else {
        Mood::Unsure
    };
    let item = |text: String, next: &str| Item {
        mood,
        text,
        next: next.to_owned(),
    };
    if let Some(folder) = facts.read_only.first() {
        return item(
            format!("{folder} is mounted read-only"),
            "mount it writable; the kernel's log (dmesg) says if a disk is broken",
        );
    }
    if facts.free_kib.is_empty() {
        let needed = [PROGRAM_FOLDER, STAGING_FOLDER].map(|folder| needed_kib(folder, copies));
        return unsure(
            "free disk space could not be read",
            format!(
                "make sure that there are {} MiB",
                needed.iter().sum::<u64>().div_ceil(1024)
            ),
        );
    }
    for (folder, free) in &facts.free_kib {
        let needed = needed_kib(folder, copies);
        if *free < needed {
            return item(
                format!(
                    "{folder} has {} MiB free, and {} are needed",
                    free / 1024,
                    needed.div_ceil(1024)
                ),
                "make room there",
            );
        }
    }
    let without = facts
        .free_inodes
        .iter()
        .find(|(_, free)| **free < NEEDED_INODES);
    match without {
        Some((folder, free)) => item(
            format!("{folder} has {free} free inodes, and {NEEDED_INODES} are needed"),
            "remove files from its filesystem: it holds as many as it can, however small",
        ),
        None => good("there is room on the disk"),
    }
}

fn needed_kib(folder: &str, copies: Option<&Copies>) -> u64 {
    let copied = match (copies, folder) {
        (Some(copies), STAGING_FOLDER) => copies.staged_kib,
        // The old program keeps its room until the one beside it is renamed.
        (Some(copies), PROGRAM_FOLDER) => copies.program_kib,
        _ => 0,
    };
    copied + SMALL_FILES_KIB
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(spoil: fn(&mut HostFacts), copies: Option<&Copies>, mood: Mood, words: &str) {
        let mut facts = HostFacts {
            free_kib: [PROGRAM_FOLDER, STAGING_FOLDER, "/etc"]
                .map(|folder| (folder.to_owned(), 16 * 1024))
                .into(),
            free_inodes: [("/etc".to_owned(), 1000)].into(),
            ..HostFacts::default()
        };
        spoil(&mut facts);
        let item = disk(&facts, copies);
        assert_eq!(item.mood, mood, "{item:?}");
        assert!(item.text.contains(words), "{item:?} lacks {words:?}");
    }

    fn copies(program_kib: u64) -> Copies {
        Copies {
            staged_kib: 12 * 1024,
            program_kib,
        }
    }

    #[test]
    fn a_folder_needs_room_for_what_is_copied_there_alone() {
        let program = copies(12 * 1024);
        check(|_| {}, Some(&program), Mood::Good, "there is room");
        let small = |facts: &mut HostFacts| {
            facts.free_kib.insert("/etc".to_owned(), 1500);
        };
        check(small, Some(&program), Mood::Good, "there is room");
        let full = |facts: &mut HostFacts| {
            facts.free_kib.insert(PROGRAM_FOLDER.to_owned(), 1500);
        };
        let words = "/usr/local/bin has 1 MiB free, and 13 are needed";
        check(full, Some(&program), Mood::Bad, words);
        check(full, Some(&copies(0)), Mood::Good, "there is room");
        let staging = |facts: &mut HostFacts| {
            facts.free_kib.insert(STAGING_FOLDER.to_owned(), 1500);
        };
        check(staging, Some(&copies(0)), Mood::Bad, "/run has 1 MiB free");
    }

    #[test]
    fn a_full_disk_is_not_in_the_way_of_nothing() {
        let full = |facts: &mut HostFacts| {
            facts.free_kib.insert("/var/lib".to_owned(), 0);
        };
        check(full, None, Mood::Unsure, "/var/lib has 0 MiB free");
        check(full, Some(&copies(0)), Mood::Bad, "/var/lib has 0 MiB free");
    }

    #[test]
    fn room_that_cannot_be_used_is_told_from_room_that_is_not_there() {
        let read_only = |facts: &mut HostFacts| {
            facts.read_only.insert("/etc".to_owned());
        };
        let words = "/etc is mounted read-only";
        check(read_only, Some(&copies(0)), Mood::Bad, words);
        check(read_only, None, Mood::Unsure, words);
        let inodes = |facts: &mut HostFacts| {
            facts.free_inodes.insert("/etc".to_owned(), 0);
        };
        let words = "/etc has 0 free inodes";
        check(inodes, Some(&copies(0)), Mood::Bad, words);
    }
}
