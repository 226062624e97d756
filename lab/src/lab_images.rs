//! The images that the lab itself brings: pause, DNS, and the test pods'.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::components::MODULES;
use crate::images;
use crate::kubernetes::{DNS_IMAGE, PAUSE_IMAGE, POD_IMAGE};

const BUSYBOX: &str = "/bin/busybox";

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
        pod(go)?,
    ])
}

fn component(name: &str, image: &str, dockerfile: &str, go: &str) -> Result<PathBuf> {
    let context = tempfile::tempdir().context("make a folder")?;
    copy_program(name, go, context.path())?;
    build_in(image, dockerfile, context.path())
}

fn copy_program(name: &str, go: &str, to: &Path) -> Result<()> {
    let Some(module) = MODULES.iter().find(|module| module.name == name) else {
        bail!("no module is named {name}");
    };
    let program = module.folder(go)?.join(name);
    fs::copy(&program, to.join(name)).with_context(|| format!("copy {}", program.display()))?;
    Ok(())
}

/// The witness, and busybox with a link for each of its commands.
fn pod(go: &str) -> Result<PathBuf> {
    let context = tempfile::tempdir().context("make a folder")?;
    let bin = context.path().join("bin");
    fs::create_dir(&bin).context("make a folder")?;
    copy_program("witness", go, &bin)?;
    fs::copy(BUSYBOX, bin.join("busybox")).with_context(|| format!("copy {BUSYBOX}"))?;
    let listed = std::process::Command::new(BUSYBOX)
        .arg("--list")
        .output()
        .with_context(|| format!("run {BUSYBOX}"))?;
    for command in String::from_utf8_lossy(&listed.stdout).lines() {
        // A static glibc cannot look names up without the shared one: these
        // would crash. The witness does their work.
        if ![
            "busybox",
            "wget",
            "nslookup",
            "telnet",
            "ping",
            "traceroute",
        ]
        .contains(&command)
        {
            symlink("busybox", bin.join(command)).with_context(|| format!("link {command}"))?;
        }
    }
    let dockerfile = include_str!("../images/pod/Dockerfile");
    build_in(POD_IMAGE, dockerfile, context.path())
}

fn build_in(image: &str, dockerfile: &str, context: &Path) -> Result<PathBuf> {
    let folder = tempfile::tempdir().context("make a folder")?;
    let path = folder.path().join("Dockerfile");
    fs::write(&path, dockerfile).context("write a Dockerfile")?;
    images::build(image, &path, context)
}
