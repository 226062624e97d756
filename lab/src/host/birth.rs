//! How a host comes to be: the namespaces, then the mounts, then its first
//! process. Runs in a process of its own, which has one thread.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{sethostname, setsid};

use crate::process::Process;
use crate::topology::{Host, hosts_file};
use crate::{cgroup, paths};

/// Where a host keeps what lies under its overlays; dies with the host.
const PRIVATE: &str = "/run/extconn-lab";

/// Kernel settings that kubelet changes for the whole machine. A node sees
/// files with the wanted values instead, so kubelet has nothing to change.
const KUBELET_SYSCTLS: [(&str, &str); 6] = [
    ("vm/overcommit_memory", "1"),
    ("vm/panic_on_oom", "0"),
    ("kernel/panic", "10"),
    ("kernel/panic_on_oops", "1"),
    ("kernel/keys/root_maxkeys", "1000000"),
    ("kernel/keys/root_maxbytes", "25000000"),
];

/// Makes the host's namespaces and mounts, starts its first process in them,
/// records it and returns.
pub fn host_birth(host: Host) -> Result<()> {
    // First of all: from here on `down` finds us, whatever happens.
    cgroup::join(&format!("{host}/daemons"))?;
    close_inherited()?;
    setsid().context("leave the terminal")?;
    unshare(
        CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWIPC,
    )
    .context("make namespaces")?;
    sethostname(host.name()).context("set the host name")?;
    mount_private(host)?;

    let program = std::env::current_exe().context("find this program")?;
    // The first process that is started after the unshare is the init of the
    // pid namespace. It outlives us on purpose.
    let init = Command::new(program)
        .args(["host-init", host.name()])
        .process_group(0)
        .spawn()
        .context("start the host's first process")?;
    let pid = i32::try_from(init.id()).context("a pid fits 31 bits")?;
    let Some(process) = Process::find(pid)? else {
        bail!("the host's first process ended at once");
    };
    let record = paths::host_process(host);
    let draft = record.with_extension("draft");
    fs::write(&draft, process.to_string()).context("record the host's first process")?;
    fs::rename(&draft, &record).context("record the host's first process")
}

/// Closes what whoever brings the lab up has open: the host lives on after that, and would hold a
/// lock or a pipe of theirs for as long.
fn close_inherited() -> Result<()> {
    let list = fs::read_dir("/proc/self/fd").context("list open files")?;
    let open: Vec<i32> = list
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    for file in open.into_iter().filter(|file| *file > 2) {
        // The list itself is closed by now.
        nix::unistd::close(file).ok();
    }
    Ok(())
}

fn mount_private(host: Host) -> Result<()> {
    let none = None::<&str>;
    // Nothing mounted here reaches the machine, and nothing from there us.
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .context("detach the mounts from the machine's")?;
    tmpfs("/run", "mode=0755")?;
    for folder in ["/run/lock", "/run/sshd", PRIVATE] {
        fs::create_dir_all(folder).with_context(|| format!("make {folder}"))?;
    }
    overlay("/etc")?;
    write_etc(host)?;
    if host.pod_cidr().is_some() {
        mount_node()?;
    }
    Ok(())
}

/// The standard paths of a node, each private to it.
fn mount_node() -> Result<()> {
    let none = None::<&str>;
    // Logs and answers go to the machine's folder, through the overlay.
    let kept = Path::new(PRIVATE).join("state");
    fs::create_dir_all(&kept).context("make a place for the lab's state")?;
    bind(Path::new(paths::STATE), &kept)?;
    overlay("/var")?;
    mount(Some(&kept), paths::STATE, none, MsFlags::MS_MOVE, none)
        .or_else(|_| bind(&kept, Path::new(paths::STATE)))
        .context("bring the lab's state back")?;
    // The overlay snapshotter cannot have its upper folders on an overlay.
    for folder in ["/var/lib/containerd", "/var/lib/kubelet", "/var/lib/etcd"] {
        fs::create_dir_all(folder).with_context(|| format!("make {folder}"))?;
        tmpfs(folder, "mode=0700,size=4g")?;
    }
    tmpfs("/tmp", "mode=1777")
}

fn write_etc(host: Host) -> Result<()> {
    let files = [
        ("hosts", hosts_file()),
        ("hostname", format!("{host}\n")),
        // No name server: the lab has no way out. Pods get the cluster's own.
        (
            "resolv.conf",
            String::from("# the lab has no name server\n"),
        ),
    ];
    for (name, text) in files {
        let path = Path::new("/etc").join(name);
        // It may be a link to a file of the machine.
        fs::remove_file(&path).ok();
        fs::write(&path, text).with_context(|| format!("write {} of the host", path.display()))?;
    }
    Ok(())
}

fn tmpfs(at: &str, options: &str) -> Result<()> {
    mount(
        Some("extconn-lab"),
        at,
        Some("tmpfs"),
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
        Some(options),
    )
    .with_context(|| format!("mount a tmpfs at {at}"))
}

fn bind(from: &Path, to: &Path) -> Result<()> {
    mount(Some(from), to, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .with_context(|| format!("bind {} to {}", from.display(), to.display()))
}

/// The machine's folder, with changes that stay in the host.
fn overlay(folder: &str) -> Result<()> {
    let own = Path::new(PRIVATE).join("overlay").join(&folder[1..]);
    for part in ["upper", "work"] {
        fs::create_dir_all(own.join(part))
            .with_context(|| format!("make {}/{part}", own.display()))?;
    }
    let options = format!(
        "lowerdir={folder},upperdir={0}/upper,workdir={0}/work",
        own.display()
    );
    mount(
        Some("extconn-lab"),
        folder,
        Some("overlay"),
        MsFlags::empty(),
        Some(options.as_str()),
    )
    .with_context(|| format!("lay an overlay over {folder}"))
}

/// The part of the mounts that only the new pid namespace can make.
pub(super) fn mount_proc(host: Host) -> Result<()> {
    // Our parent is still in the mount namespace that it made, and looks us up
    // in the machine's /proc.
    unshare(CloneFlags::CLONE_NEWNS).context("make a mount namespace")?;
    mount(
        Some("proc"),
        "/proc",
        Some("proc"),
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC,
        None::<&str>,
    )
    .context("mount /proc")?;
    if host.pod_cidr().is_none() {
        return Ok(());
    }
    let folder = Path::new(PRIVATE).join("sysctl");
    fs::create_dir_all(&folder).context("make a folder for settings")?;
    for (name, value) in KUBELET_SYSCTLS {
        let target = Path::new("/proc/sys").join(name);
        if target.exists() {
            let shown = folder.join(name.replace('/', "."));
            fs::write(&shown, format!("{value}\n"))
                .with_context(|| format!("write {}", shown.display()))?;
            bind(&shown, &target)?;
        }
    }
    // As on a real node; the group of peers is this host alone.
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SHARED, none)
        .context("share the node's mounts with its pods")
}
