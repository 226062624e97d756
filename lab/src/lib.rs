//! The lab: a real cluster of two nodes, a gateway host, an external server
//! and a stranger on one Linux machine, each in namespaces of its own.
//!
//! For end-to-end tests, on a lab that is up:
//!
//! ```no_run
//! use extconn_lab::{AccessLog, Host, exec, kubectl};
//!
//! let mark = AccessLog::mark()?;
//! let output = exec(Host::Third, &["witness", "get", "http://192.168.122.139:8000/"])?;
//! assert!(output.status.success());
//! assert_eq!(mark.since()?[0].peer.ip(), extconn_lab::topology::THIRD);
//! let nodes = kubectl(&["get", "nodes", "-o", "name"])?;
//! # Ok::<(), anyhow::Error>(())
//! ```

use std::ffi::OsStr;
use std::io::Seek;
use std::process::{Output, Stdio};

use anyhow::{Context, Result};

pub mod access_log;
pub mod cgroup;
pub mod cluster;
pub mod components;
pub mod contained;
pub mod control_plane;
pub mod definitions;
pub mod down;
pub mod drafts;
pub mod gateway;
pub mod host;
pub mod images;
pub mod installation;
pub mod kubernetes;
pub mod lab_images;
pub mod packages;
pub mod paths;
pub mod pki;
pub mod process;
pub mod progress;
pub mod ssh;
pub mod status;
pub mod supply;
pub mod terminal;
pub mod topology;
pub mod unit;
pub mod up;
pub mod walkthrough;
pub mod wiring;

pub use access_log::{Access, AccessLog};
pub use paths::kubeconfig as kubeconfig_path;

pub use topology::Host;

/// Runs a command in a host to its end, with empty stdin. The gateway host's
/// runs inside its own system, the others' with the lab's programs in PATH.
///
/// # Errors
/// The host is not up. A command that fails is no error: look at its status.
pub fn exec<S: AsRef<OsStr>>(host: Host, argv: &[S]) -> Result<Output> {
    host::command(host, argv)?
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("run a command in host {host}"))
}

/// Runs kubectl on the workstation as the administrator, with empty stdin.
pub fn kubectl<S: AsRef<OsStr>>(args: &[S]) -> Result<Output> {
    let mut argv = vec![OsStr::new("kubectl")];
    argv.extend(args.iter().map(AsRef::as_ref));
    exec(Host::Workstation, &argv)
}

/// As [`kubectl`], with `input` as its stdin, for `apply -f -`.
pub fn kubectl_with_input<S: AsRef<OsStr>>(args: &[S], input: &str) -> Result<Output> {
    let mut argv = vec![OsStr::new("kubectl")];
    argv.extend(args.iter().map(AsRef::as_ref));
    let mut file = tempfile::tempfile().context("make a file for stdin")?;
    std::io::Write::write_all(&mut file, input.as_bytes()).context("fill stdin")?;
    file.rewind().context("rewind stdin")?;
    host::command(Host::Workstation, &argv)?
        .stdin(file)
        .output()
        .context("run kubectl on the workstation")
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
