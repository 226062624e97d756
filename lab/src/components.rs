//! The Go programs of the lab: built once from pinned modules, kept in the
//! cache under the hash of everything that decides what they are.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::contained::contained;
use crate::{drafts, paths};

/// The release of Kubernetes, as it reports itself.
pub const KUBERNETES: &str = "v1.37.2";

/// One program that a module yields.
#[derive(Debug)]
pub struct Program {
    /// Its file in the cache.
    pub file: &'static str,
    /// The Go package, `.` for the module's own.
    package: &'static str,
    /// Whether it wants to be told its Kubernetes version at link time.
    version: Version,
    /// The names it is started by.
    pub names: &'static [&'static str],
}

#[derive(Debug, PartialEq, Eq)]
enum Version {
    Stamped,
    Own,
}

/// A Go module of ours that pins the programs' sources.
#[derive(Debug)]
pub struct Module {
    /// Its folder below `lab/components`.
    pub name: &'static str,
    files: &'static [(&'static str, &'static str)],
    /// What is built from it.
    pub programs: &'static [Program],
}

macro_rules! files {
    ($folder:literal: $($name:literal),+) => {
        &[$(($name, include_str!(concat!("../components/", $folder, "/", $name)))),+]
    };
}

/// Every module, the slowest first.
pub const MODULES: [Module; 7] = [
    Module {
        name: "kubernetes",
        files: files!("kubernetes": "go.mod", "go.sum", "main.go", "tools.go"),
        programs: &[
            Program {
                file: "kubernetes",
                package: ".",
                version: Version::Stamped,
                names: &[
                    "kube-apiserver",
                    "kube-controller-manager",
                    "kube-scheduler",
                    "kubelet",
                    "kube-proxy",
                ],
            },
            Program {
                file: "kubectl",
                package: "k8s.io/kubernetes/cmd/kubectl",
                version: Version::Stamped,
                names: &["kubectl"],
            },
        ],
    },
    Module {
        name: "helm",
        files: files!("helm": "go.mod", "go.sum", "tools.go"),
        programs: &[Program {
            file: "helm",
            package: "helm.sh/helm/v4/cmd/helm",
            version: Version::Own,
            names: &["helm"],
        }],
    },
    Module {
        name: "krew",
        files: files!("krew": "go.mod", "go.sum", "tools.go"),
        programs: &[Program {
            file: "kubectl-krew",
            package: "sigs.k8s.io/krew/cmd/krew",
            version: Version::Own,
            names: &["kubectl-krew"],
        }],
    },
    Module {
        name: "coredns",
        files: files!("coredns": "go.mod", "go.sum", "main.go"),
        programs: &[Program {
            file: "coredns",
            package: ".",
            version: Version::Own,
            names: &["coredns"],
        }],
    },
    Module {
        name: "etcd",
        files: files!("etcd": "go.mod", "go.sum", "main.go"),
        programs: &[Program {
            file: "etcd",
            package: ".",
            version: Version::Own,
            names: &["etcd"],
        }],
    },
    Module {
        name: "pause",
        files: files!("pause": "go.mod", "main.go"),
        programs: &[Program {
            file: "pause",
            package: ".",
            version: Version::Own,
            names: &["pause"],
        }],
    },
    Module {
        name: "witness",
        files: files!("witness": "go.mod", "first.go", "main.go", "serve.go"),
        programs: &[Program {
            file: "witness",
            package: ".",
            version: Version::Own,
            names: &["witness"],
        }],
    },
];

/// The toolchain's own name for itself, such as `go version go1.26.8 linux/amd64`.
///
/// # Errors
/// Go is missing, in a sentence that says what to install.
pub fn go_version() -> Result<String> {
    let output = std::process::Command::new("go").arg("version").output();
    match output {
        Ok(output) if output.status.success() => {
            let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            if !is_recent(&version) {
                bail!(
                    "{version} is too old to build Kubernetes {KUBERNETES}; install Go 1.26 or later"
                );
            }
            Ok(version)
        }
        _ => bail!(
            "go is not installed, and the lab builds Kubernetes {KUBERNETES} with it; \
             install Go 1.26 or later and put it in PATH"
        ),
    }
}

/// Whether this is Go 1.26 or later, or a version that no number names.
fn is_recent(version: &str) -> bool {
    let minor = version
        .split_once("go1.")
        .map(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next());
    match minor {
        Some(Some(minor)) => minor.parse::<u32>().is_ok_and(|minor| minor >= 26),
        _ => true,
    }
}

impl Module {
    /// The name of the module's folder in the cache: changes whenever the
    /// programs may.
    fn key(&self, go: &str) -> String {
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            hash.update(text.len().to_le_bytes());
            hash.update(text);
        };
        add(go);
        for (name, text) in self.files {
            add(name);
            add(text);
        }
        for program in self.programs {
            add(program.package);
            add(&flags(program));
        }
        format!("{}-{}", self.name, &crate::hex(&hash.finalize())[..16])
    }

    /// Where the built programs are.
    pub fn folder(&self, go: &str) -> Result<PathBuf> {
        Ok(paths::cache()?.join("components").join(self.key(go)))
    }

    /// Builds the programs into the cache, all or none.
    ///
    /// # Errors
    /// What the Go toolchain said.
    pub fn build(&self, go: &str) -> Result<()> {
        let target = self.folder(go)?;
        let parent = target.parent().context("the cache has a parent")?;
        let draft = drafts::draft(parent)?;
        let source = draft.path().join("source");
        fs::create_dir(&source).context("make a source folder")?;
        for (name, text) in self.files {
            fs::write(source.join(name), text).with_context(|| format!("write {name}"))?;
        }
        let built = draft.path().join("built");
        for program in self.programs {
            build_program(&source, program, &built.join(program.file))?;
        }
        match fs::rename(&built, &target) {
            Ok(()) => Ok(()),
            // Somebody else was faster with the same content.
            Err(_) if target.is_dir() => Ok(()),
            Err(error) => Err(error).with_context(|| format!("publish {}", target.display())),
        }
    }
}

fn flags(program: &Program) -> String {
    match program.version {
        // Without it the API server calls itself v0.0.0 and clients misbehave.
        Version::Stamped => {
            format!("-s -w -X k8s.io/component-base/version.gitVersion={KUBERNETES}")
        }
        Version::Own => "-s -w".into(),
    }
}

fn build_program(source: &Path, program: &Program, to: &Path) -> Result<()> {
    let output = contained("go")
        .args(["build", "-trimpath", "-buildvcs=false", "-mod=readonly"])
        .arg("-ldflags")
        .arg(flags(program))
        .arg("-o")
        .arg(to)
        .arg(program.package)
        .env("CGO_ENABLED", "0")
        .env("GOWORK", "off")
        .env_remove("GOFLAGS")
        .current_dir(source)
        .output()
        .context("run go")?;
    if !output.status.success() {
        bail!(
            "go build of {} failed:\n{}",
            program.file,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_toolchain_or_release_gets_a_folder_of_its_own() {
        let keys: Vec<String> = MODULES
            .iter()
            .flat_map(|module| [module.key("go1"), module.key("go2")])
            .collect();
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[..index].contains(key), "{key}");
        }
        assert_eq!(MODULES[0].key("go1"), keys[0]);
    }

    #[test]
    fn an_old_toolchain_is_refused_before_it_fails_in_its_own_words() {
        assert!(is_recent("go version go1.26.8 linux/amd64"));
        assert!(is_recent("go version go1.30rc1 linux/amd64"));
        assert!(is_recent("go version devel linux/amd64"));
        assert!(!is_recent("go version go1.19.8 linux/amd64"));
    }

    #[test]
    fn the_stamped_version_is_the_one_that_is_required() {
        let (_, go_mod) = MODULES[0].files[0];
        assert!(go_mod.contains(&format!("\tk8s.io/kubernetes {KUBERNETES}\n")));
    }
}
