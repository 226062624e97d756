//! What helm has of extconn, and whether it is what is wanted.

use super::drift::{self, ScaledDown};
use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::helm::release::Release;
use crate::helm::{CHART_NAME, Helm, ReleaseName, Values};
use crate::terminal::progress::Step;

/// What helm has.
pub(super) struct Installed {
    /// The release; `None` if there is none yet.
    pub release: Option<Release>,
    /// Whether the cluster has what this chart makes with the wanted values.
    pub is_current: bool,
    /// Deployments that somebody has scaled down.
    pub scaled_down: Vec<ScaledDown>,
    /// Whether the gateways' ServiceAccount is as it was, so that their tokens are worth something.
    pub has_account: bool,
}

/// Looks at the release, and takes its values into `values`.
///
/// # Errors
/// It is one of another chart, or what helm or the API server said.
pub(super) async fn look(
    cluster: &Cluster,
    helm: &Helm,
    values: &mut Values,
    step: Step,
) -> Result<Installed, Failure> {
    let Some(release) = helm.release().await? else {
        step.done("there is no helm release yet");
        return Ok(Installed {
            release: None,
            is_current: false,
            scaled_down: Vec::new(),
            has_account: false,
        });
    };
    let ReleaseName { name, namespace } = helm.release_name();
    let chart = helm.chart_of_release().await?;
    if chart != CHART_NAME {
        return Err(Failure::failed(format!(
            "the helm release {name} in namespace {namespace} is of the chart {chart}, and not extconn's"
        ))
        .next(format!(
            "move it out of the way: `helm -n {namespace} uninstall {name}`, and install it under another name"
        )));
    }
    values.present = helm.values(&release).await?;
    let manifest = helm.manifest().await?;
    let drifted = drift::drifted(cluster, &manifest, namespace).await?;
    let but = match drifted.as_slice() {
        [] => String::new(),
        [one] => format!(", but {}", one.text),
        [one, more @ ..] => format!(", but {}, and {} more", one.text, more.len()),
    };
    step.done(&format!(
        "the helm release {name} is {}{but}",
        release.status
    ));
    let account = format!("ServiceAccount {}", super::gateway_install::SERVICE_ACCOUNT);
    let is_current = release.status == "deployed"
        && drifted.is_empty()
        && helm.is_current(&manifest, values).await?;
    Ok(Installed {
        release: Some(release),
        is_current,
        scaled_down: drifted
            .iter()
            .filter_map(|drift| drift.scaled_down.clone())
            .collect(),
        has_account: !drifted.iter().any(|drift| drift.object == account),
    })
}
