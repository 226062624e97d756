//! A host of the lab: a process tree in namespaces of its own.
//!
//! The first process of a host is its init: when it ends, the kernel ends
//! everything in the host and drops every mount. Nothing of a host is pinned
//! from outside, so a host cannot half exist.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::paths;
use crate::process::Process;
use crate::topology::Host;
use crate::unit::{Reply, Request, Unit, UnitState};

pub mod birth;
pub mod guest;
pub mod supervisor;

/// Brings the host's first process up, with no unit and no network yet.
///
/// # Errors
/// Ends with the last lines of the host's own log.
pub fn start(host: Host) -> Result<()> {
    let program = paths::bin().join("extconn-lab");
    fs::create_dir_all(paths::logs(host))
        .with_context(|| format!("make {}", paths::logs(host).display()))?;
    let log = fs::File::create(paths::log(host, "init"))
        .with_context(|| format!("make the log of host {host}"))?;
    let status = Command::new(&program)
        .args(["host-birth", host.name()])
        .stdin(Stdio::null())
        .stdout(log.try_clone().context("share the host's log")?)
        .stderr(log)
        .status()
        .with_context(|| format!("run {}", program.display()))?;
    if !status.success() {
        bail!("host {host} did not start:\n{}", tail(host, "init"));
    }
    Ok(())
}

/// The host's first process, if it runs.
pub fn process(host: Host) -> Option<Process> {
    let text = fs::read_to_string(paths::host_process(host)).ok()?;
    let process: Process = text.parse().ok()?;
    process.is_running().then_some(process)
}

/// A command inside the host: its network, mounts, processes and name. Streams
/// and working directory are the caller's; the exit code comes through.
///
/// # Errors
/// The host is not up.
pub fn command<S: AsRef<std::ffi::OsStr>>(host: Host, argv: &[S]) -> Result<Command> {
    let Some(process) = process(host) else {
        bail!("host {host} is not up; `extconn-lab up` starts it");
    };
    let mut command = if Host::GUESTS.contains(&host) {
        guest::enter(host)?
    } else {
        let mut command = enter(process.pid);
        let mut flag = std::ffi::OsString::from("--wdns=");
        flag.push(working_folder(process.pid));
        command.arg(flag);
        command.env("PATH", search_path());
        command.env("KUBECONFIG", paths::kubeconfig());
        // Their own places for these are in root's home, the machine's.
        command.env("KUBECACHEDIR", "/run/extconn-lab/kube-cache");
        command.env("KREW_ROOT", paths::KREW_ROOT);
        command.env("KREW_NO_UPGRADE_CHECK", "1");
        for kind in ["CACHE", "CONFIG", "DATA"] {
            command.env(
                format!("HELM_{kind}_HOME"),
                format!("/run/extconn-lab/helm/{kind}"),
            );
        }
        command
    };
    command.arg("--").args(argv);
    Ok(command)
}

/// As [`command`], but outside the guest: in the namespaces of the host's
/// first process. They differ on the gateway hosts only.
pub fn outer_command(host: Host, argv: &[String]) -> Result<Command> {
    let Some(process) = process(host) else {
        bail!("host {host} is not up; `extconn-lab up` starts it");
    };
    let mut command = enter(process.pid);
    command.arg("--").args(argv);
    Ok(command)
}

/// The caller's working folder if the host of this process has one by that name, else its root:
/// nodes have a /tmp of their own, and the source tree may be in the machine's.
fn working_folder(pid: i32) -> PathBuf {
    let root = PathBuf::from(format!("/proc/{pid}/root"));
    std::env::current_dir()
        .ok()
        .filter(|folder| {
            folder
                .strip_prefix("/")
                .is_ok_and(|inside| root.join(inside).is_dir())
        })
        .unwrap_or_else(|| PathBuf::from("/"))
}

fn enter(pid: i32) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--target={pid}"));
    command.args(["--mount", "--uts", "--ipc", "--net", "--pid"]);
    command
}

/// What krew has installed first, then the lab's programs, then the machine's.
pub(crate) fn search_path() -> String {
    let bin = paths::bin();
    format!(
        "{}/bin:{}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        paths::KREW_ROOT,
        bin.display()
    )
}

/// Starts a unit in the host, replacing one of the same name.
pub fn start_unit(host: Host, unit: Unit) -> Result<()> {
    done(host, &Request::Start(unit))
}

/// Ends a unit of the host and leaves it down.
pub fn stop_unit(host: Host, name: &str) -> Result<()> {
    done(host, &Request::Stop(name.into()))
}

/// Starts a stopped unit again.
pub fn resume_unit(host: Host, name: &str) -> Result<()> {
    done(host, &Request::Resume(name.into()))
}

/// The host's units, sorted by name.
pub fn units(host: Host) -> Result<Vec<UnitState>> {
    match ask(host, &Request::List)? {
        Reply::Units(units) => Ok(units),
        other => bail!("host {host} answered {other:?} to a listing"),
    }
}

fn done(host: Host, request: &Request) -> Result<()> {
    match ask(host, request)? {
        Reply::Done => Ok(()),
        Reply::Refused(why) => bail!("host {host}: {why}"),
        Reply::Units(_) => bail!("host {host} answered with a listing to {request:?}"),
    }
}

fn ask(host: Host, request: &Request) -> Result<Reply> {
    let path = paths::control(host);
    let mut stream = UnixStream::connect(&path)
        .with_context(|| format!("reach the first process of host {host}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut line = serde_json::to_string(request)?;
    line.push('\n');
    stream.write_all(line.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream)
        .read_line(&mut answer)
        .with_context(|| format!("wait for the answer of host {host}"))?;
    serde_json::from_str(&answer).with_context(|| format!("host {host} answered {answer:?}"))
}

/// The last lines of a unit's log, indented, for an error message.
pub fn tail(host: Host, unit: &str) -> String {
    let path = paths::log(host, unit);
    last_lines(&path, 15)
}

pub(crate) fn last_lines(path: &Path, count: usize) -> String {
    let text = match fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => return format!("  ({} cannot be read: {error})", path.display()),
    };
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(count);
    let mut shown = format!("  last lines of {}:", path.display());
    for line in &lines[from..] {
        shown.push_str("\n  | ");
        shown.push_str(line);
    }
    shown
}

/// The symbolic link that gives the host's network namespace its name.
fn netns_link(host: Host) -> PathBuf {
    Path::new(paths::NETNS).join(host.netns())
}

/// Gives the network namespace of the host's first process its name.
///
/// A link into /proc instead of the usual bind mount: it holds nothing, so it
/// cannot keep a dead host's network alive.
pub fn name_netns(host: Host) -> Result<()> {
    let Some(process) = process(host) else {
        bail!("host {host} is not up");
    };
    fs::create_dir_all(paths::NETNS).context("make /run/netns")?;
    let link = netns_link(host);
    fs::remove_file(&link).ok();
    std::os::unix::fs::symlink(format!("/proc/{}/ns/net", process.pid), &link)
        .with_context(|| format!("name the network of host {host}"))
}

/// Whether any host's network has a name.
pub fn has_netns_names() -> bool {
    Host::ALL
        .into_iter()
        .any(|host| netns_link(host).symlink_metadata().is_ok())
}

/// Takes the names away, and /run/netns if nobody else has one; `true` if
/// there was a name.
pub fn unname_netns() -> Result<bool> {
    let mut any = false;
    for host in Host::ALL {
        let link = netns_link(host);
        if link.symlink_metadata().is_ok() {
            fs::remove_file(&link).with_context(|| format!("remove {}", link.display()))?;
            any = true;
        }
    }
    if any {
        // Fails when somebody else has names there, which is as it should be.
        fs::remove_dir(paths::NETNS).ok();
    }
    Ok(any)
}
