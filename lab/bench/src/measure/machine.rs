//! What the figures were measured on.

use std::fs;
use std::process::Command;

use serde::Serialize;

/// Facts that a reader needs to judge the figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Machine {
    /// Processors and their model.
    pub processors: String,
    /// Main memory in GiB.
    pub memory_gib: u64,
    /// Kernel release.
    pub kernel: String,
    /// What `ssh -V` says.
    pub openssh: String,
    /// Open files that a process may have.
    pub open_files: u64,
}

impl Machine {
    /// Looks at the machine. What cannot be found is empty.
    pub fn find() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let models: Vec<&str> = cpuinfo
            .lines()
            .filter_map(|line| line.strip_prefix("model name")?.split_once(": "))
            .map(|(_, model)| model)
            .collect();
        let model = models.first().copied().unwrap_or_default();
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let memory = meminfo.split_whitespace().nth(1).unwrap_or_default();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let ssh = Command::new("ssh").arg("-V").output();
        let said = ssh.map(|output| String::from_utf8_lossy(&output.stderr).into_owned());
        Self {
            processors: format!("{} × {model}", models.len()),
            memory_gib: memory
                .parse()
                .map_or(0, |kib: u64| kib.div_ceil(1024 * 1024)),
            kernel: kernel.trim().to_owned(),
            openssh: said.unwrap_or_default().trim().to_owned(),
            open_files: open_files(),
        }
    }
}

/// Open files that a process here may have at most.
pub fn open_files() -> u64 {
    use nix::sys::resource::{Resource, getrlimit};
    getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(_, hard)| hard)
}

/// Lets this process and its children have as many open files as the machine allows.
pub fn raise_open_files() {
    use nix::sys::resource::{Resource, setrlimit};
    let hard = open_files();
    // Less than all of them is enough for most lines; those that need more say so.
    let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
}
