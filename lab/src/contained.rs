//! Helpers that must not outlive us: a killed `up` takes its compilers and
//! package tools along, and whatever they mounted.

use std::ffi::OsStr;
use std::process::Command;

/// A command that dies with the thread that starts it, with everything it
/// started, in mount and pid namespaces of its own.
pub fn contained(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "unshare", "--mount", "--pid"]);
    command.args(["--fork", "--kill-child", "--mount-proc"]);
    command.args(["--propagation", "private", "--"]);
    command.arg(program);
    command
}
