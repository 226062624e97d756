//! CustomResourceDefinitions of others that the chart makes objects for, from pinned Go modules:
//! nothing of them is in this source tree.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

use crate::contained::contained;
use crate::{drafts, paths};

/// The Prometheus operator's own module, and the checksum of its content as go.sum has it.
const MODULE: &str = "github.com/prometheus-operator/prometheus-operator@v0.85.0";
const SUM: &str = "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=";

/// Its definitions of the kinds that the chart makes.
const FILES: [&str; 2] = [
    "monitoring.coreos.com_podmonitors.yaml",
    "monitoring.coreos.com_prometheusrules.yaml",
];

/// The Prometheus operator's definitions of PodMonitor and PrometheusRule; downloads them into the
/// cache if need be.
///
/// # Errors
/// What the Go toolchain said, or the content is not what is pinned.
pub fn prometheus_operator() -> Result<[PathBuf; 2]> {
    let (_, version) = MODULE.split_once('@').context("the module has a version")?;
    let parent = paths::cache()?.join("definitions");
    let folder = parent.join(format!("prometheus-operator-{version}"));
    if !folder.is_dir() {
        let draft = drafts::draft(&parent)?;
        let module = download()?;
        for file in FILES {
            let from = module.join("example/prometheus-operator-crd").join(file);
            fs::copy(&from, draft.path().join(file))
                .with_context(|| format!("copy {}", from.display()))?;
        }
        match fs::rename(draft.path(), &folder) {
            Ok(()) => {}
            // Somebody else was faster with the same content.
            Err(_) if folder.is_dir() => {}
            Err(error) => {
                return Err(error).with_context(|| format!("publish {}", folder.display()));
            }
        }
    }
    Ok(FILES.map(|file| folder.join(file)))
}

/// Where Go has unpacked the module.
fn download() -> Result<PathBuf> {
    let output = contained("go")
        .args(["mod", "download", "-json", MODULE])
        .env("GOWORK", "off")
        .env_remove("GOFLAGS")
        .current_dir("/")
        .output()
        .context("run go")?;
    let said: serde_json::Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("go: {}", String::from_utf8_lossy(&output.stderr)))?;
    if let Some(error) = said["Error"].as_str() {
        bail!("go mod download {MODULE}: {error}");
    }
    ensure!(
        said["Sum"] == SUM,
        "{MODULE} has the checksum {} and not {SUM}",
        said["Sum"]
    );
    let folder = said["Dir"].as_str().context("go names no folder")?;
    Ok(folder.into())
}
