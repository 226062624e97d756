//! Where the lab keeps its files: its state, which `down` removes, and its
//! cache, which stays.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::topology::Host;

/// The state of the lab that is up. On disk, and the same path in every host.
pub const STATE: &str = "/var/lib/extconn-lab";

/// Where `ip netns` looks for names.
pub const NETNS: &str = "/run/netns";

/// Where krew keeps the plugins of a host. Gone with the host.
pub const KREW_ROOT: &str = "/run/extconn-lab/krew";

fn state() -> &'static Path {
    Path::new(STATE)
}

/// The programs of the lab, by their usual names.
pub fn bin() -> PathBuf {
    state().join("bin")
}

/// Certificates and keys.
pub fn pki() -> PathBuf {
    state().join("pki")
}

/// The administrator's kubeconfig. Its server is reachable from the hosts of
/// the lab, not from the machine itself.
pub fn kubeconfig() -> PathBuf {
    state().join("kubeconfig")
}

/// The lab's ssh key, accepted by root of every host with an ssh server.
pub fn ssh_key() -> PathBuf {
    state().join("ssh/id_ed25519")
}

/// The key by which a host's ssh server is known.
pub fn ssh_host_key(of: Host) -> PathBuf {
    state().join("ssh").join(format!("{of}_host"))
}

/// Written last by `up`: the fingerprint of what is up.
pub fn ready() -> PathBuf {
    state().join("ready")
}

/// The external server's access log, one JSON object per line.
pub fn access_log() -> PathBuf {
    state().join("access.jsonl")
}

/// What belongs to one host.
pub fn host(host: Host) -> PathBuf {
    state().join("hosts").join(host.name())
}

/// The record of the host's first process.
pub fn host_process(of: Host) -> PathBuf {
    host(of).join("process")
}

/// Where the host's first process takes requests.
pub fn control(of: Host) -> PathBuf {
    host(of).join("control.sock")
}

/// The folder of a host's log files.
pub fn logs(of: Host) -> PathBuf {
    host(of).join("log")
}

/// The log of one unit of a host.
pub fn log(of: Host, unit: &str) -> PathBuf {
    logs(of).join(format!("{unit}.log"))
}

/// The cache: built programs, images and root file systems, by content.
///
/// # Errors
/// Neither `XDG_CACHE_HOME` nor `HOME` is set.
pub fn cache() -> Result<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME") {
        Some(folder) if !folder.is_empty() => PathBuf::from(folder),
        _ => {
            let home = std::env::var_os("HOME")
                .context("neither XDG_CACHE_HOME nor HOME is set; the lab's cache needs one")?;
            PathBuf::from(home).join(".cache")
        }
    };
    Ok(base.join("extconn-lab"))
}
