//! A control plane without a cluster: etcd and the API server on loopback, for tests that are
//! about objects alone. No nodes, no controllers, no network of its own; several may run at once.
//!
//! Nothing outlives it: both are killed when it is dropped, or when the thread that started it
//! ends, and its folder goes with it.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rcgen::KeyPair;
use tempfile::TempDir;

use crate::contained::contained;
use crate::progress::{Progress, Wait};
use crate::supply;
use crate::topology::SERVICE_CIDR;

/// What the administrator's requests carry. The API server listens on loopback, for one test.
const TOKEN: &str = "administrator";

/// Longer than a busy machine needs.
const PATIENCE: Duration = Duration::from_secs(120);

/// An API server that answers.
#[derive(Debug)]
pub struct ControlPlane {
    // Dropped in this order: the folder is in use until both are gone.
    _api_server: Reaped,
    _etcd: Reaped,
    folder: TempDir,
    port: u16,
}

impl ControlPlane {
    /// Starts both and waits until the API server is ready.
    ///
    /// # Errors
    /// One of them does not come: with the last lines of its log.
    pub fn start() -> Result<ControlPlane> {
        let progress = Progress::new();
        let folder = tempfile::tempdir().context("make a folder")?;
        for name in ["etcd", "kube-apiserver", "kubectl"] {
            symlink(supply::program(&progress, name)?, folder.path().join(name))
                .with_context(|| format!("link {name}"))?;
        }
        let [client, peer, port] = free_ports()?;
        let etcd = spawn(folder.path(), "etcd", etcd(folder.path(), client, peer))?;
        let argv = api_server(folder.path(), client, port)?;
        let api_server = spawn(folder.path(), "kube-apiserver", argv)?;
        let plane = ControlPlane {
            _api_server: api_server,
            _etcd: etcd,
            folder,
            port,
        };
        plane.write_kubeconfig()?;
        progress.wait_for(
            "the API server",
            PATIENCE,
            || {
                let output = plane.kubectl(&["get", "--raw", "/readyz"], "")?;
                Ok(if output.status.success() {
                    Wait::Over(())
                } else {
                    Wait::NotYet(String::from_utf8_lossy(&output.stderr).trim().to_owned())
                })
            },
            || plane.log_tail("kube-apiserver"),
        )?;
        Ok(plane)
    }

    /// Where the API server is, `https://127.0.0.1:PORT`; it has a certificate of its own making.
    pub fn url(&self) -> String {
        format!("https://{}:{}", Ipv4Addr::LOCALHOST, self.port)
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// Its folder, for files of the test's own.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs kubectl as the administrator; `input` is what it reads.
    ///
    /// # Errors
    /// It cannot be run. A command that fails is no error: look at its status.
    pub fn kubectl(&self, args: &[&str], input: &str) -> Result<Output> {
        let stdin = self.folder.path().join("stdin");
        fs::write(&stdin, input).context("fill stdin")?;
        Command::new(self.folder.path().join("kubectl"))
            .arg("--kubeconfig")
            .arg(self.kubeconfig())
            .args(args)
            .env("KUBECACHEDIR", self.folder.path().join("kube-cache"))
            .stdin(fs::File::open(&stdin).context("open stdin")?)
            .output()
            .context("run kubectl")
    }

    fn write_kubeconfig(&self) -> Result<()> {
        let config = serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "plane",
            "clusters": [{"name": "plane", "cluster": {
                "server": self.url(), "insecure-skip-tls-verify": true,
            }}],
            "users": [{"name": "administrator", "user": {"token": TOKEN}}],
            "contexts": [{"name": "plane", "context": {
                "cluster": "plane", "user": "administrator",
            }}],
        });
        fs::write(self.kubeconfig(), config.to_string()).context("write a kubeconfig")
    }

    fn log_tail(&self, name: &str) -> String {
        let text = fs::read_to_string(self.folder.path().join(format!("{name}.log")));
        let text = text.unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

/// A process that is killed when it is not needed any more.
#[derive(Debug)]
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Ports that nothing listens on; held together, so that they differ.
fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut listeners = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
        *port = listener.local_addr().context("find a free port")?.port();
        listeners.push(listener);
    }
    Ok(ports)
}

fn spawn(folder: &Path, name: &str, args: Vec<String>) -> Result<Reaped> {
    let log = fs::File::create(folder.join(format!("{name}.log"))).context("make a log")?;
    let child = contained(folder.join(name))
        .args(args)
        .stdin(Stdio::null())
        .stdout(log.try_clone().context("share the log")?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("start {name}"))?;
    Ok(Reaped(child))
}

fn etcd(folder: &Path, client: u16, peer: u16) -> Vec<String> {
    let (client, peer) = (local("http", client), local("http", peer));
    vec![
        "--name=plane".into(),
        format!("--data-dir={}", folder.join("etcd-state").display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=plane={peer}"),
        // Nobody starts it again with the same state.
        "--unsafe-no-fsync=true".into(),
    ]
}

fn api_server(folder: &Path, etcd: u16, port: u16) -> Result<Vec<String>> {
    let file = |name: &str| folder.join(name).display().to_string();
    let key = KeyPair::generate().context("make a key")?;
    for (name, text) in [
        ("service-accounts.key", key.serialize_pem()),
        ("service-accounts.pub", key.public_key_pem()),
        (
            "tokens.csv",
            format!("{TOKEN},administrator,administrator,system:masters\n"),
        ),
    ] {
        fs::write(file(name), text).with_context(|| format!("write {name}"))?;
    }
    ensure!(port != 0, "the API server needs a port");
    Ok(vec![
        format!("--etcd-servers={}", local("http", etcd)),
        format!("--bind-address={}", Ipv4Addr::LOCALHOST),
        format!("--advertise-address={}", Ipv4Addr::LOCALHOST),
        format!("--secure-port={port}"),
        format!("--cert-dir={}", file("certificates")),
        format!("--token-auth-file={}", file("tokens.csv")),
        "--authorization-mode=RBAC".into(),
        format!("--service-cluster-ip-range={SERVICE_CIDR}"),
        "--service-account-issuer=https://kubernetes.default.svc".into(),
        format!(
            "--service-account-key-file={}",
            file("service-accounts.pub")
        ),
        format!(
            "--service-account-signing-key-file={}",
            file("service-accounts.key")
        ),
        // Loopback cannot be the address of the Service "kubernetes", and nobody asks for it.
        "--endpoint-reconciler-type=none".into(),
        "--profiling=false".into(),
    ])
}

fn local(scheme: &str, port: u16) -> String {
    format!("{scheme}://{}:{port}", Ipv4Addr::LOCALHOST)
}
