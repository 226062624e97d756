//! The Debian packages that the lab uses, and how they get here.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// A package and a file of it that the lab needs.
const PACKAGES: [(&str, &str); 16] = [
    ("buildah", "/usr/bin/buildah"),
    ("busybox-static", "/bin/busybox"),
    ("conntrack", "/usr/sbin/conntrack"),
    ("containerd", "/usr/bin/containerd"),
    ("containernetworking-plugins", "/usr/lib/cni/bridge"),
    ("iproute2", "/usr/sbin/ip"),
    ("ipset", "/usr/sbin/ipset"),
    ("iptables", "/usr/sbin/iptables"),
    ("mmdebstrap", "/usr/bin/mmdebstrap"),
    ("openssh-client", "/usr/bin/ssh-keygen"),
    ("openssh-server", "/usr/sbin/sshd"),
    ("procps", "/usr/sbin/sysctl"),
    // promtool checks the chart's alert rules.
    ("prometheus", "/usr/bin/promtool"),
    ("runc", "/usr/sbin/runc"),
    ("systemd-container", "/usr/bin/systemd-nspawn"),
    ("util-linux", "/usr/bin/nsenter"),
];

/// Tells invoke-rc.d to start nothing; see policy-rc.d(8).
const POLICY: &str = "/usr/sbin/policy-rc.d";
const POLICY_TEXT: &str =
    "#!/bin/sh\n# Put here by extconn-lab while it installs packages.\nexit 101\n";

/// The packages that are missing, sorted.
pub fn missing() -> Vec<&'static str> {
    PACKAGES
        .iter()
        // A merged /usr has both spellings, an unmerged one the shorter.
        .filter(|(_, file)| {
            !Path::new(file).exists() && !Path::new(file.trim_start_matches("/usr")).exists()
        })
        .map(|(package, _)| *package)
        .collect()
}

/// Installs these packages. Starts none of their services.
///
/// # Errors
/// No apt, or what apt said.
pub fn install(packages: &[&str]) -> Result<()> {
    let named = packages.join(" ");
    if !Path::new("/usr/bin/apt-get").exists() {
        bail!(
            "the lab needs {named}, and this machine has no apt to install them; \
             use Debian 12 or later, or install them by hand"
        );
    }
    let _policy = Policy::set()?;
    // Lists that are old name packages that are gone: always fresh ones.
    run(Command::new("apt-get").args(["update", "-q"]))?;
    run(Command::new("apt-get")
        .args(["install", "-q", "-y", "--no-install-recommends"])
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive"))
    .with_context(|| format!("install {named}"))?;
    let left = missing();
    if !left.is_empty() {
        bail!("apt says it installed {named}, but {left:?} are not where they should be");
    }
    Ok(())
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().context("run apt-get")?;
    if !output.status.success() {
        bail!(
            "apt-get failed:\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

/// Our policy file, there as long as this lives. Somebody else's stays.
struct Policy;

impl Policy {
    fn set() -> Result<Option<Policy>> {
        match fs::read_to_string(POLICY) {
            // Ours: an installation before this one was killed.
            Ok(text) if text == POLICY_TEXT => return Ok(Some(Policy)),
            Ok(_) => return Ok(None),
            Err(_) => {}
        }
        fs::write(POLICY, POLICY_TEXT).with_context(|| format!("write {POLICY}"))?;
        fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("make {POLICY} executable"))?;
        Ok(Some(Policy))
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(POLICY) {
            eprintln!("{POLICY} could not be removed ({error}); remove it by hand");
        }
    }
}
