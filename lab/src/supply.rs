//! What must be on the machine before a lab can start: packages, programs,
//! the gateway host's system, images.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::components::{self, MODULES, Module};
use crate::progress::{Progress, joined};
use crate::{definitions, gateway, lab_images, packages};

/// Refuses a machine that cannot carry the lab, in one sentence.
pub fn check_machine() -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("the lab makes namespaces and mounts and needs root; run it with sudo");
    }
    Ok(())
}

/// Installs the Debian packages that are missing; says so when none is.
pub fn install_packages(progress: &Progress) -> Result<()> {
    check_machine()?;
    let missing = packages::missing();
    if missing.is_empty() {
        progress.say("Every Debian package that the lab needs is installed.");
        return Ok(());
    }
    let title = format!("install the Debian packages {}", missing.join(" "));
    progress.step(&title, || packages::install(&missing))
}

/// Builds whatever the lab needs and the cache lacks.
pub fn build(progress: &Progress) -> Result<Vec<PathBuf>> {
    check_machine()?;
    if !packages::missing().is_empty() {
        install_packages(progress)?;
    }
    let go = components::go_version()?;
    std::thread::scope(|scope| {
        let root = scope.spawn(|| {
            if gateway::root_folder()?.is_dir() {
                return Ok(());
            }
            progress.step("make the gateway host's Debian (20 s)", gateway::build_root)
        });
        // One after the other: each of them uses every core.
        for module in &MODULES {
            build_module(progress, module, &go)?;
        }
        let archives = lab_images::build(&go)?;
        definitions::prometheus_operator()?;
        joined(root)?;
        Ok(archives)
    })
}

/// The path, in the cache, of one of the lab's programs; builds it if need be.
///
/// # Errors
/// There is no such program, or its module does not build.
pub fn program(progress: &Progress, name: &str) -> Result<PathBuf> {
    let go = components::go_version()?;
    for module in &MODULES {
        for program in module.programs {
            if program.names.contains(&name) {
                build_module(progress, module, &go)?;
                return Ok(module.folder(&go)?.join(program.file));
            }
        }
    }
    bail!("the lab has no program {name}; try helm or kubectl")
}

fn build_module(progress: &Progress, module: &Module, go: &str) -> Result<()> {
    if module.folder(go)?.is_dir() {
        return Ok(());
    }
    let hint = if module.name == "kubernetes" {
        " (6 min the first time)"
    } else {
        ""
    };
    progress.step(&format!("build {}{hint}", module.name), || module.build(go))
}
