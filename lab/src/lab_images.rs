//! The images that the lab itself brings: pause, DNS, and the test pods'.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::components::MODULES;
use crate::images;
use crate::kubernetes::{DNS_IMAGE, PAUSE_IMAGE, POD_IMAGE};

const BUSYBOX: &str = "/bin/busybox";
const PAGE: &str = include_str!("../images/pod/www/index.html");
const PEER_SCRIPT: &str = include_str!("../images/pod/www/cgi-bin/peer");

/// Builds all of them, or finds them in the cache.
pub fn build(go: &str) -> Result<Vec<PathBuf>> {
    Ok(vec![
        component(
            "pause",
            PAUSE_IMAGE,
            include_str!("../images/pause/Dockerfile"),
            go,
        )?,
        component(
            "coredns",
            DNS_IMAGE,
            include_str!("../images/coredns/Dockerfile"),
            go,
        )?,
        pod()?,
    ])
}

fn component(name: &str, image: &str, dockerfile: &str, go: &str) -> Result<PathBuf> {
    let Some(module) = MODULES.iter().find(|module| module.name == name) else {
        bail!("no module is named {name}");
    };
    let context = tempfile::tempdir().context("make a folder")?;
    let program = module.folder(go)?.join(name);
    fs::copy(&program, context.path().join(name))
        .with_context(|| format!("copy {}", program.display()))?;
    build_in(image, dockerfile, context.path())
}

/// Busybox with a link for each of its commands, and a page to serve.
fn pod() -> Result<PathBuf> {
    let context = tempfile::tempdir().context("make a folder")?;
    let at = |name: &str| context.path().join(name);
    fs::copy(BUSYBOX, at("busybox")).with_context(|| format!("copy {BUSYBOX}"))?;
    let listed = std::process::Command::new(BUSYBOX)
        .arg("--list")
        .output()
        .with_context(|| format!("run {BUSYBOX}"))?;
    fs::create_dir(at("links")).context("make a folder")?;
    for command in String::from_utf8_lossy(&listed.stdout).lines() {
        if command != "busybox" {
            symlink("busybox", at("links").join(command))
                .with_context(|| format!("link {command}"))?;
        }
    }
    fs::create_dir_all(at("www/cgi-bin")).context("make a folder")?;
    fs::write(at("www/index.html"), PAGE).context("write a page")?;
    let script = at("www/cgi-bin/peer");
    fs::write(&script, PEER_SCRIPT).context("write a script")?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))
        .context("make a script executable")?;
    build_in(
        POD_IMAGE,
        include_str!("../images/pod/Dockerfile"),
        context.path(),
    )
}

fn build_in(image: &str, dockerfile: &str, context: &Path) -> Result<PathBuf> {
    let folder = tempfile::tempdir().context("make a folder")?;
    let path = folder.path().join("Dockerfile");
    fs::write(&path, dockerfile).context("write a Dockerfile")?;
    images::build(image, &path, context)
}
