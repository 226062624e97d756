//! The gateway hosts: a Debian with systemd and sshd, made once, booted from a
//! fresh overlay each time.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::contained::contained;
use crate::topology::Host;
use crate::unit::Unit;
use crate::{drafts, host, paths};

const SUITE: &str = "bookworm";
const PACKAGES: &str = "systemd,systemd-sysv,dbus,openssh-server,iproute2,iptables,\
                        sudo,ca-certificates,procps";
/// Where the host, not the guest, sees the guest's root.
const ROOT: &str = "/run/extconn-lab/guest/root";

/// The root file system's folder in the cache.
pub fn root_folder() -> Result<PathBuf> {
    let key = crate::hex(&Sha256::digest(format!("{SUITE} {PACKAGES}")));
    Ok(paths::cache()?
        .join("rootfs")
        .join(format!("debian-{}", &key[..16])))
}

/// Makes the root file system in the cache.
pub fn build_root() -> Result<()> {
    let target = root_folder()?;
    let parent = target.parent().context("the cache has a parent")?;
    let draft = drafts::draft(parent)?;
    let root = draft.path().join("root");
    let output = contained("mmdebstrap")
        .args(["--quiet", "--variant=minbase"])
        .arg(format!("--include={PACKAGES}"))
        // A key that every guest shared would be no key.
        .arg("--customize-hook=rm -f \"$1\"/etc/ssh/ssh_host_*_key*")
        .arg(SUITE)
        .arg(&root)
        .env("TMPDIR", draft.path())
        .output()
        .context("run mmdebstrap")?;
    if !output.status.success() {
        bail!(
            "mmdebstrap: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    fs::rename(&root, &target).with_context(|| format!("publish {}", target.display()))
}

/// Boots the guest of a host. It has booted when [`ssh::answers`](crate::ssh::answers) says so.
pub fn boot(guest: Host) -> Result<()> {
    let lower = root_folder()?;
    let script = format!(
        r#"set -e
mkdir -p {ROOT} {ROOT}/../upper {ROOT}/../work
mount -t overlay extconn-lab -o lowerdir="$1",upperdir={ROOT}/../upper,workdir={ROOT}/../work {ROOT}
cd {ROOT}
install -d -m 700 root/.ssh
install -m 600 "$2".pub root/.ssh/authorized_keys
install -m 600 "$3" etc/ssh/ssh_host_ed25519_key
install -m 644 "$3".pub etc/ssh/ssh_host_ed25519_key.pub
echo {guest} > etc/hostname
cat /etc/hosts > etc/hosts
: > etc/machine-id
"#
    );
    let text = |path: PathBuf| path.display().to_string();
    let argv = ["sh", "-c", &script, "sh"]
        .into_iter()
        .map(String::from)
        .chain([lower, paths::ssh_key(), paths::ssh_host_key(guest)].map(text))
        .collect::<Vec<_>>();
    let output = host::outer_command(guest, &argv)?
        .output()
        .context("prepare the guest's root")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let argv = [
        "systemd-nspawn",
        "--quiet",
        "--boot",
        "--directory",
        ROOT,
        &format!("--machine={guest}"),
        "--register=no",
        "--keep-unit",
        "--network-namespace-path=/proc/1/ns/net",
        "--capability=CAP_NET_ADMIN,CAP_NET_RAW",
        "--resolv-conf=off",
        "--timezone=off",
        "--link-journal=no",
        "--console=pipe",
    ];
    let mut unit = Unit::new("guest", argv);
    // The network's settings are the guest's, as on a machine of its own.
    let writable = ("SYSTEMD_NSPAWN_API_VFS_WRITABLE", "network");
    unit.env.insert(writable.0.into(), writable.1.into());
    host::start_unit(guest, unit)
}

/// Writes a file inside a host, making its folder.
pub fn write_in(to: Host, path: &str, text: &str) -> Result<()> {
    let script = "mkdir -p \"$(dirname \"$1\")\" && cat > \"$1\"";
    let argv = ["sh", "-c", script, "sh", path].map(String::from);
    let mut child = host::outer_command(to, &argv)?
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("write {path} in {to}"))?;
    let mut stdin = child.stdin.take().context("the child's stdin is piped")?;
    stdin
        .write_all(text.as_bytes())
        .with_context(|| format!("write {path} in {to}"))?;
    drop(stdin);
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!(
            "{path} in {to}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

/// What a gateway host is like: its files with size and time, users, units, firewall rules and
/// addresses, a line for each. What the system writes by itself (logs, caches, run-time state,
/// backups of the user database) is left out.
///
/// # Errors
/// The host does not answer.
pub fn fingerprint(guest: Host) -> Result<String> {
    const SCRIPT: &str = r#"set -e
find / -xdev \( -path /proc -o -path /sys -o -path /run -o -path /dev -o -path /tmp \
    -o -path /var/log -o -path /var/cache -o -path /var/lib/systemd -o -path /root \) -prune \
    -o \( -type f -o -type l \) ! -path '/etc/*-' ! -path /etc/machine-id ! -path /etc/.updated \
    ! -path /var/.updated ! -path /etc/.pwd.lock ! -path /etc/passwd ! -path /etc/group \
    ! -path /etc/shadow ! -path /etc/gshadow -printf '%p %m %U %s %T@ %l\n' | sort
sort /etc/passwd /etc/group
sha256sum /etc/passwd /etc/group /etc/shadow /etc/gshadow
systemctl list-unit-files --no-legend --plain | sort
iptables-save | grep '^-A' || true
ip -o -4 addr show | awk '{ print $2, $4 }'
find /run /tmp /root -xdev -name '*extconn*' ! -path '/run/systemd/*' | sort
"#;
    let output = host::command(guest, &["sh", "-c", SCRIPT])?
        .stdin(Stdio::null())
        .output()
        .context("look at the gateway host")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
