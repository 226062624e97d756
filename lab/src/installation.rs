//! extconn in the lab, as a user puts it there: `kubectl extconn init` on the workstation, with
//! programs and images built from this source tree in the place of downloaded ones.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use crate::progress::Progress;
use crate::topology::{GATEWAY, Host, SOURCE_IPS};
use crate::walkthrough::ask;
use crate::{images, paths};

/// Tag that the chart gives its images when nobody says otherwise.
const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// The plugin, under the name by which kubectl finds it.
const PLUGIN: &str = "kubectl-extconn";

/// Parts that come as images.
const COMPONENTS: [&str; 2] = ["operator", "forwarder"];

/// The source tree that this program was built from.
pub fn tree() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A program that `make build` made.
///
/// # Errors
/// It has not been made.
pub fn program(name: &str) -> Result<PathBuf> {
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

/// Gives the lab what a user downloads: the images, under the chart's own tags, and the plugin on
/// the workstation's PATH, where krew is too. Installs nothing.
///
/// # Errors
/// A program has not been built, or what the failing step said.
pub fn provide(progress: &Progress) -> Result<()> {
    for component in COMPONENTS {
        progress.step(&format!("image extconn-{component}"), || {
            let tag = image(component)?;
            let name = |tag: &str| format!("localhost/extconn-{component}:{tag}");
            images::tag(&name(&tag), &name(RELEASE))
        })?;
    }
    index_for_krew()?;
    put_on_path()
}

/// Takes away the plugin that [`provide`] has put on the PATH, for one that krew installs.
///
/// # Errors
/// The link cannot be removed.
pub fn withdraw_plugin() -> Result<()> {
    let link = paths::bin().join(PLUGIN);
    fs::remove_file(&link).with_context(|| format!("remove {}", link.display()))
}

/// krew does nothing before it has an index of plugins; the lab has no way to the public one, so
/// it gets one in which there is none.
fn index_for_krew() -> Result<()> {
    let index = format!("{}/index/default", paths::KREW_ROOT);
    let line = format!("mkdir -p {index}/plugins && git init --quiet {index}");
    let said = ask::host(Host::Workstation, &["sh", "-c", &line])?;
    ensure!(said.success, "krew's index: {}", said.stderr.trim());
    Ok(())
}

/// Installs extconn from this source tree, or brings it up to date. What is there already and has
/// not changed stays as it is.
///
/// # Errors
/// As [`provide`].
pub fn install(progress: &Progress) -> Result<()> {
    let mut init = vec![format!("--gateway=root@{GATEWAY}"), "--yes".to_owned()];
    init.extend(SOURCE_IPS.map(|ip| format!("--source-ip={ip}")));
    for component in COMPONENTS {
        let tag = progress.step(&format!("image extconn-{component}"), || image(component))?;
        // It names the content, so that another build is rolled out and the same one is not.
        init.push(format!("--set={component}.image.tag={tag}"));
    }
    put_on_path()?;
    progress.step("kubectl extconn init", || plugin("init", &init))
}

/// Removes extconn from the gateway host and from the cluster.
///
/// # Errors
/// What the failing step said.
pub fn uninstall(progress: &Progress) -> Result<()> {
    put_on_path()?;
    progress.step("kubectl extconn uninstall", || {
        plugin("uninstall", &["--yes".to_owned()])
    })
}

/// Builds the image of a component and gives it to the nodes, under a tag that names its content.
fn image(component: &str) -> Result<String> {
    let name = format!("extconn-{component}");
    let program = program(&name)?;
    let bytes = fs::read(&program).with_context(|| format!("read {}", program.display()))?;
    let tag = crate::hex(&Sha256::digest(&bytes))[..16].to_owned();
    let context = tempfile::tempdir().context("make a folder")?;
    let copy = context.path().join(&name);
    fs::copy(&program, copy).with_context(|| format!("copy {}", program.display()))?;
    let dockerfile = tree().join(component).join("Dockerfile");
    let image = format!("localhost/{name}:{tag}");
    images::load(&images::build(&image, &dockerfile, context.path())?)?;
    Ok(tag)
}

/// A link, so that the gateway's program is found where an archive holds it: beside the plugin.
fn put_on_path() -> Result<()> {
    let (program, link) = (program(PLUGIN)?, paths::bin().join(PLUGIN));
    if fs::read_link(&link).is_ok_and(|leads_to| leads_to == program) {
        return Ok(());
    }
    fs::remove_file(&link).ok();
    symlink(&program, &link).with_context(|| format!("link {}", link.display()))
}

/// Runs the plugin on the workstation, as its administrator would.
fn plugin(command: &str, args: &[String]) -> Result<()> {
    let argv: Vec<&str> = ["kubectl", "extconn", command]
        .into_iter()
        .chain(args.iter().map(String::as_str))
        .collect();
    let said = ask::host(Host::Workstation, &argv)?;
    ensure!(said.success, "{}: {}", argv.join(" "), said.stderr.trim());
    Ok(())
}
