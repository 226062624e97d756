//! Logins: one key of the lab's own, accepted by root of every host that runs an ssh server, and
//! the workstation's knowledge of those servers.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::gateway::write_in;
use crate::topology::Host;
use crate::unit::Unit;
use crate::{host, paths};

/// The hosts that can be logged in on.
pub const SERVERS: [Host; 3] = [Host::Gateway, Host::Gateway2, Host::External];

/// Makes the lab's key and those of the servers.
///
/// # Errors
/// What ssh-keygen said.
pub fn make_keys() -> Result<()> {
    let own = paths::ssh_key();
    let folder = own.parent().context("the key is in a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let servers = SERVERS.map(|server| (paths::ssh_host_key(server), server.name()));
    for (path, comment) in [(own, "extconn-lab")].into_iter().chain(servers) {
        let output = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f"])
            .arg(&path)
            .output()
            .context("run ssh-keygen")?;
        if !output.status.success() {
            bail!(
                "ssh-keygen: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
    }
    Ok(())
}

/// Tells the workstation whom `ssh gateway` and the others reach, and by which keys.
///
/// # Errors
/// The workstation is not up.
pub fn introduce() -> Result<()> {
    let (mut known, mut config) = (String::new(), String::new());
    for server in SERVERS {
        let (address, key) = (server.address(), paths::ssh_key());
        let public = paths::ssh_host_key(server).with_extension("pub");
        let public =
            fs::read_to_string(&public).with_context(|| format!("read {}", public.display()))?;
        known += &format!("{server},{address} {public}");
        config += &format!(
            "Host {server} {address}\n  HostName {address}\n  User root\n  IdentityFile {}\n",
            key.display()
        );
    }
    write_in(Host::Workstation, "/etc/ssh/ssh_known_hosts", &known)?;
    write_in(
        Host::Workstation,
        "/etc/ssh/ssh_config.d/00-extconn-lab.conf",
        &config,
    )
}

/// Runs an ssh server in a host that has no system of its own.
///
/// # Errors
/// The host is not up.
pub fn serve(on: Host) -> Result<()> {
    const CONFIG: &str = "/run/extconn-lab/sshd_config";
    let config = format!(
        "HostKey {}\nAuthorizedKeysFile {}.pub\nPermitRootLogin prohibit-password\nUsePAM no\n\
         PidFile none\n",
        paths::ssh_host_key(on).display(),
        paths::ssh_key().display()
    );
    write_in(on, CONFIG, &config)?;
    let argv = ["/usr/sbin/sshd", "-D", "-e", "-f", CONFIG];
    host::start_unit(on, Unit::new("sshd", argv))
}

/// Whether a login from the workstation succeeds; if not, what ssh said.
///
/// # Errors
/// The workstation is not up.
pub fn answers(server: Host) -> Result<Result<(), String>> {
    let argv = [
        "ssh",
        "-oBatchMode=yes",
        "-oConnectTimeout=2",
        server.name(),
        "true",
    ];
    let output = host::command(Host::Workstation, &argv)?
        .stdin(Stdio::null())
        .output()
        .context("run ssh")?;
    Ok(if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    })
}
