//! OpenSSH with the same cipher: a server of its own configuration, keys and port at the gateway,
//! and `ssh -N -L -R` at the forwarder.

use std::fs;
use std::net::SocketAddrV4;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::{Contender, Program, REKEY_OFTEN, Rekey, Running, ingress_address, port};
use crate::network::Network;
use crate::network::plan::{FORWARDER, GATEWAY, Host, SERVICE, TARGET};

const SERVER: &str = "/usr/sbin/sshd";
const PORT: u16 = 2200;
const CIPHER: &str = "aes256-gcm@openssh.com";
/// Tells Debian's scripts to start no service; see policy-rc.d(8).
const POLICY: &str = "/usr/sbin/policy-rc.d";

pub(super) fn start(network: &Network, rekey: Rekey) -> Result<Running> {
    let folder = tempfile::Builder::new().prefix("xc-bench-").tempdir()?;
    let file = |name: &str| folder.path().join(name).display().to_string();
    make_key(&file("host_key"))?;
    make_key(&file("key"))?;
    fs::copy(file("key.pub"), file("authorized_keys"))?;
    let host_key = fs::read_to_string(file("host_key.pub"))?;
    fs::write(
        file("known_hosts"),
        format!("[{GATEWAY}]:{PORT} {host_key}"),
    )?;
    fs::write(file("sshd_config"), server_config(&folder))?;

    // The server wants its folder under /run, where this machine may have none: one of its own,
    // which nobody else sees.
    let mut server = network.host(Host::Gateway).command("unshare");
    server.args(["--mount", "sh", "-c"]).arg(format!(
        "mount -t tmpfs tmpfs /run && mkdir /run/sshd && exec {SERVER} -D -e -f {}",
        file("sshd_config")
    ));
    let server = Program::start_silent(server.stderr(Stdio::null()))?;

    let egress = SocketAddrV4::new(FORWARDER, port(Contender::OpenSsh));
    let ingress = ingress_address(Contender::OpenSsh);
    let mut client = network.host(Host::Forwarder).command("ssh");
    client
        .args(["-F", "none", "-N", "-l", "root", "-p", &PORT.to_string()])
        .args([
            "-i",
            &file("key"),
            "-o",
            &format!("UserKnownHostsFile={}", file("known_hosts")),
        ])
        .args([
            "-c",
            CIPHER,
            "-o",
            "ExitOnForwardFailure=yes",
            "-o",
            "BatchMode=yes",
        ])
        .args(["-o", "ConnectionAttempts=100", "-o", "LogLevel=ERROR"])
        .args(["-L", &format!("{egress}:{TARGET}")])
        .args(["-R", &format!("{ingress}:{SERVICE}")]);
    if rekey == Rekey::Often {
        client.args(["-o", &format!("RekeyLimit={REKEY_OFTEN}")]);
    }
    let client = Program::start_silent(client.arg(GATEWAY.to_string()))?;

    let mut running = Running {
        contender: Contender::OpenSsh,
        egress,
        ingress,
        programs: vec![(Host::Forwarder, client), (Host::Gateway, server)],
        _folder: Some(folder),
    };
    let (egress, ingress) = (running.egress(network), running.ingress(network));
    for path in [egress, ingress] {
        let ended = || {
            running
                .programs
                .iter_mut()
                .find_map(|(_, program)| program.ended())
        };
        path.wait_until_it_carries(ended).context("OpenSSH")?;
    }
    Ok(running)
}

fn make_key(file: &str) -> Result<()> {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-N", "", "-f", file]);
    let status = command.status().context("run ssh-keygen")?;
    if !status.success() {
        bail!("ssh-keygen: {status}");
    }
    fs::set_permissions(file, fs::Permissions::from_mode(0o600))?;
    Ok(())
}

fn server_config(folder: &TempDir) -> String {
    let folder = folder.path().display();
    format!(
        "Port {PORT}\n\
         ListenAddress {GATEWAY}\n\
         HostKey {folder}/host_key\n\
         AuthorizedKeysFile {folder}/authorized_keys\n\
         PidFile none\n\
         UsePAM no\n\
         StrictModes no\n\
         PermitRootLogin prohibit-password\n\
         AllowTcpForwarding yes\n\
         GatewayPorts clientspecified\n\
         Ciphers {CIPHER}\n\
         LogLevel ERROR\n"
    )
}

/// Installs the server as a Debian package if it is missing, without starting a service.
///
/// # Errors
/// apt is missing, or what it said.
pub fn install() -> Result<()> {
    if Path::new(SERVER).exists() {
        return Ok(());
    }
    let policy = !Path::new(POLICY).exists();
    if policy {
        fs::write(POLICY, "#!/bin/sh\nexit 101\n").with_context(|| format!("write {POLICY}"))?;
        fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))?;
    }
    let installed = apt_get(&["update", "-q"]).and_then(|()| {
        apt_get(&[
            "install",
            "-q",
            "-y",
            "--no-install-recommends",
            "openssh-server",
        ])
    });
    if policy {
        fs::remove_file(POLICY).with_context(|| format!("remove {POLICY}"))?;
    }
    installed.context("install openssh-server")
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let output = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .output()
        .context("run apt-get")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
