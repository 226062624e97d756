//! What is still there, asked of the cluster and of the gateway host themselves.
//!
//! Every kind that the API server can list is listed, not the kinds that extconn is known to
//! make: a leftover of a kind that nobody thought of is the one to find.

use anyhow::{Context, Result, ensure};

use crate::topology::Host;
use crate::walkthrough::ask;
use crate::walkthrough::scenario::{CONNECTOR_NAMESPACE, Scenario};

/// What every namespace has of its own accord, and what tells of the past only.
const NOT_OURS: [&str; 3] = [
    "event",
    "serviceaccount/default",
    "configmap/kube-root-ca.crt",
];

/// What stays after uninstalling, as the chart says: CRDs, and the API groups that they make.
const STAYS: [&str; 2] = ["customresourcedefinition.", "apiservice."];

/// Objects of a deleted ExternalService in the cluster, and nat rules for its source IPs on the
/// gateway host.
///
/// # Errors
/// The API server or the gateway host does not answer.
pub fn of_external_service(scenario: &Scenario) -> Result<Vec<String>> {
    let mut left: Vec<String> = objects(&["-n", CONNECTOR_NAMESPACE])?
        .into_iter()
        .filter(|object| object.contains(&scenario.name) || object.starts_with("gateway."))
        .collect();
    for source in &scenario.sources {
        let bindings = ["get", "rolebindings", "-o", "name", "-n", &source.namespace];
        left.extend(lines(&ask::cluster_ok(&bindings, "")?));
        let address = source.source_ip.to_string();
        left.extend(rules()?.into_iter().filter(|rule| rule.contains(&address)));
    }
    Ok(left)
}

/// Anything of extconn's in the cluster but its CRDs, and anything on the gateway host.
///
/// # Errors
/// As [`of_external_service`].
pub fn of_installation() -> Result<Vec<String>> {
    let mut left = of_chart()?;
    left.extend(rules()?.into_iter().filter(|rule| rule.contains("EXTCONN")));
    left.extend(gateway_lines(
        "find / -xdev -iname '*extconn*' -not -path '/proc/*' -not -path '/sys/*'",
    )?);
    left.extend(gateway_lines(
        "systemctl list-units --all --plain --no-legend '*extconn*'",
    )?);
    left.extend(gateway_lines("grep -i extconn /etc/passwd /etc/group")?);
    left.extend(gateway_lines("ps -e -o args= | grep '[e]xtconn'")?);
    Ok(left)
}

/// Anything of extconn's in the cluster but its CRDs.
///
/// # Errors
/// As [`of_external_service`].
pub fn of_chart() -> Result<Vec<String>> {
    Ok(objects(&["--all-namespaces"])?
        .into_iter()
        .chain(cluster_objects()?)
        .filter(|object| object.contains("extconn") || object.contains(CONNECTOR_NAMESPACE))
        .filter(|object| !STAYS.iter().any(|kind| object.starts_with(kind)))
        .filter(|object| !object.contains("extconn-lab"))
        .collect())
}

/// Namespaced objects as `kind/name`, of every kind that can be listed.
fn objects(scope: &[&str]) -> Result<Vec<String>> {
    list_kinds("true", scope)
}

fn cluster_objects() -> Result<Vec<String>> {
    list_kinds("false", &[])
}

fn list_kinds(namespaced: &str, scope: &[&str]) -> Result<Vec<String>> {
    let namespaced = format!("--namespaced={namespaced}");
    let kinds = ask::cluster_ok(
        &["api-resources", "--verbs=list", &namespaced, "-o", "name"],
        "",
    )?;
    let kinds = lines(&kinds).join(",");
    let args: Vec<&str> = ["get", &kinds, "-o", "name", "--ignore-not-found"]
        .iter()
        .chain(scope)
        .copied()
        .collect();
    let names = ask::cluster_ok(&args, "")?;
    Ok(lines(&names)
        .into_iter()
        .filter(|object| !NOT_OURS.iter().any(|ordinary| object.starts_with(ordinary)))
        .collect())
}

/// Every rule of the gateway host, of all tables.
fn rules() -> Result<Vec<String>> {
    let said = ask::host(Host::Gateway, &["iptables-save"])?;
    ensure!(
        said.success,
        "iptables-save on the gateway host: {}",
        said.stderr.trim()
    );
    Ok(lines(&said.stdout))
}

/// What a shell line prints on the gateway host; searches that find nothing fail, which is fine.
fn gateway_lines(line: &str) -> Result<Vec<String>> {
    let said = ask::host(Host::Gateway, &["sh", "-c", line]).context("search the gateway host")?;
    Ok(lines(&said.stdout))
}

fn lines(text: &str) -> Vec<String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(Into::into)
        .collect()
}
