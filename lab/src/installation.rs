//! extconn in the lab: its chart in the cluster, its gateway on the gateway host, built from this
//! source tree.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::progress::Progress;
use crate::topology::{API_SERVER, GATEWAY, Host, SOURCE_IPS};
use crate::walkthrough::ask;
use crate::walkthrough::scenario::CONNECTOR_NAMESPACE;
use crate::{host, images};

/// Port of the gateway's ssh server.
const SSH_PORT: u16 = 2022;

/// Where the gateway's installer is unpacked on the gateway host; removed after each use.
const UNPACKED: &str = "/root/extconn-installer";

/// The source tree that this program was built from.
fn tree() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A program that `make build` made.
fn program(name: &str) -> Result<PathBuf> {
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let path = tree()
        .join("target")
        .join(target)
        .join("release")
        .join(name);
    ensure!(
        path.is_file(),
        "there is no {}: `make build` makes it",
        path.display()
    );
    Ok(path)
}

/// Builds and loads the images, installs the chart, and installs the gateway on its host. What is
/// there already and has not changed stays as it is.
///
/// # Errors
/// A program has not been built, or what the failing step said.
pub fn install(progress: &Progress) -> Result<()> {
    for name in ["extconn-operator", "extconn-forwarder"] {
        progress.step(&format!("image {name}"), || images::load(&image(name)?))?;
    }
    let chart = tree().join("chart").display().to_string();
    let helm = [
        "helm",
        "upgrade",
        "--install",
        "extconn",
        &chart,
        "--wait",
        "--timeout=2m",
    ];
    progress.step("helm upgrade --install extconn chart", || {
        done(Host::Workstation, &helm)
    })?;
    progress.step("extconn-gateway on the gateway host", install_gateway)
}

/// Removes extconn from the gateway host and from the cluster.
///
/// # Errors
/// What the failing step said.
pub fn uninstall(progress: &Progress) -> Result<()> {
    let helm = ["helm", "uninstall", "extconn", "--wait", "--timeout=3m"];
    progress.step("helm uninstall extconn", || done(Host::Workstation, &helm))?;
    progress.step("remove extconn-gateway from the gateway host", || {
        let installer = tempfile::tempdir().context("make a folder")?;
        copy(&tree().join("gateway/uninstall.sh"), installer.path())?;
        on_gateway(installer.path(), "./uninstall.sh")
    })
}

fn image(name: &str) -> Result<PathBuf> {
    let context = tempfile::tempdir().context("make a folder")?;
    copy(&program(name)?, context.path())?;
    let component = name.trim_start_matches("extconn-");
    let dockerfile = tree().join(component).join("Dockerfile");
    let tag = format!("localhost/{name}:{}", env!("CARGO_PKG_VERSION"));
    images::build(&tag, &dockerfile, context.path())
}

fn install_gateway() -> Result<()> {
    let installer = tempfile::tempdir().context("make a folder")?;
    let folder = installer.path();
    copy(&program("extconn-gateway")?, folder)?;
    copy(&tree().join("gateway/install.sh"), folder)?;
    fs::create_dir(folder.join("systemd")).context("make a folder")?;
    for part in ["extconn-gateway.service", "sysusers.conf"] {
        copy(
            &tree().join("gateway/systemd").join(part),
            &folder.join("systemd"),
        )?;
    }
    let write = |name: &str, text: String| {
        fs::write(folder.join(name), text).with_context(|| format!("write {name}"))
    };
    write("gateway.yaml", host_file())?;
    write("kubeconfig", kubeconfig()?)?;
    let account = [
        "create",
        "token",
        "extconn-gateway",
        "-n",
        CONNECTOR_NAMESPACE,
        "--duration=24h",
    ];
    write("token", ask::cluster_ok(&account, "")?)?;
    on_gateway(
        folder,
        "./install.sh --binary extconn-gateway --host-file gateway.yaml --kubeconfig kubeconfig --token token",
    )
}

/// What the administrator of the gateway host allows.
fn host_file() -> String {
    let allowed = SOURCE_IPS.map(|ip| json!({"ip": ip}));
    json!({"sshEndpoint": format!("{GATEWAY}:{SSH_PORT}"), "sourceIPs": allowed}).to_string()
}

/// How the gateway reaches the API server: no credential in it but the name of the token's file.
fn kubeconfig() -> Result<String> {
    let certificate = "-o=jsonpath={.clusters[0].cluster.certificate-authority-data}";
    let certificate = ask::cluster_ok(&["config", "view", "--raw", certificate], "")?;
    Ok(json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "extconn",
        "clusters": [{"name": "extconn", "cluster": {
            "server": API_SERVER, "certificate-authority-data": certificate,
        }}],
        "users": [{"name": "extconn", "user": {"tokenFile": "/var/lib/extconn/token"}}],
        "contexts": [{"name": "extconn", "context": {"cluster": "extconn", "user": "extconn"}}],
    })
    .to_string())
}

/// Unpacks a folder on the gateway host, runs a shell line in it, and removes it again.
fn on_gateway(folder: &Path, line: &str) -> Result<()> {
    let mut pack = Command::new("tar")
        .args(["--create", "--directory"])
        .arg(folder)
        .arg(".")
        .stdout(Stdio::piped())
        .spawn()
        .context("run tar")?;
    let packed = pack.stdout.take().context("tar has an output")?;
    let script = format!(
        "rm -rf {UNPACKED} && mkdir -m 0700 {UNPACKED} && cd {UNPACKED} && tar -x && {line}; \
         status=$?; rm -rf {UNPACKED}; exit $status"
    );
    let output = host::command(Host::Gateway, &["sh", "-c", &script])?
        .stdin(packed)
        .output()
        .context("reach the gateway host")?;
    pack.wait().context("wait for tar")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{line} on the gateway host: {}",
        said.trim()
    );
    Ok(())
}

fn done(on: Host, argv: &[&str]) -> Result<()> {
    let said = ask::host(on, argv)?;
    ensure!(said.success, "{}: {}", argv.join(" "), said.stderr.trim());
    Ok(())
}

fn copy(file: &Path, into: &Path) -> Result<()> {
    let name = file.file_name().context("a file has a name")?;
    fs::copy(file, into.join(name)).with_context(|| format!("copy {}", file.display()))?;
    Ok(())
}
