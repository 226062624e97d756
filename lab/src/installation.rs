//! extconn in the lab: its chart in the cluster, its gateway on the gateway host, built from this
//! source tree.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use sha2::{Digest, Sha256};

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
    let chart = tree().join("chart").display().to_string();
    let mut helm: Vec<String> = ["helm", "upgrade", "--install", "extconn", &chart]
        .map(String::from)
        .into();
    helm.extend(["--wait", "--timeout=2m"].map(String::from));
    for component in ["operator", "forwarder"] {
        let tag = progress.step(&format!("image extconn-{component}"), || image(component))?;
        helm.push(format!("--set={component}.image.tag={tag}"));
    }
    let helm: Vec<&str> = helm.iter().map(String::as_str).collect();
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

/// Builds the image of a component and gives it to the nodes. Its tag names the content, so that
/// another build is rolled out and the same one is not.
fn image(component: &str) -> Result<String> {
    let name = format!("extconn-{component}");
    let program = program(&name)?;
    let bytes = fs::read(&program).with_context(|| format!("read {}", program.display()))?;
    let tag = crate::hex(&Sha256::digest(&bytes))[..16].to_owned();
    let context = tempfile::tempdir().context("make a folder")?;
    copy(&program, context.path())?;
    let dockerfile = tree().join(component).join("Dockerfile");
    let image = format!("localhost/{name}:{tag}");
    images::load(&images::build(&image, &dockerfile, context.path())?)?;
    Ok(tag)
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
    let certificate = ask::cluster_ok(&["config", "view", "--flatten", certificate], "")?;
    ensure!(
        !certificate.is_empty(),
        "the administrator's kubeconfig names no certificate authority"
    );
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
