//! Brings the parts of the cluster up, in the order in which they need each
//! other.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::gateway::write_in;
use crate::host::{self, start_unit};
use crate::kubernetes;
use crate::progress::{Progress, Wait};
use crate::topology::Host;

/// Longer than a slow machine needs, shorter than a user's patience.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs kubectl; what it said on stdout, or why it failed.
fn kubectl(args: &[&str]) -> Result<Result<String, String>> {
    let output = crate::kubectl(args)?;
    Ok(if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    })
}

/// Waits until kubectl with `args` succeeds and says something that `enough`
/// accepts.
fn wait_kubectl(
    progress: &Progress,
    what: &str,
    args: &[&str],
    evidence: (Host, &str),
    enough: impl Fn(&str) -> bool,
) -> Result<()> {
    progress.wait_for(
        what,
        PATIENCE,
        || {
            Ok(match kubectl(args)? {
                Ok(text) if enough(&text) => Wait::Over(()),
                Ok(text) => Wait::NotYet(format!("it is {text:?}")),
                Err(why) => Wait::NotYet(why),
            })
        },
        || host::tail(evidence.0, evidence.1),
    )
}

/// etcd and the API server, until it is ready to serve.
pub fn start_api_server(progress: &Progress) -> Result<()> {
    start_unit(Host::Node1, kubernetes::etcd())?;
    start_unit(Host::Node1, kubernetes::api_server())?;
    wait_kubectl(
        progress,
        "the API server",
        &["get", "--raw", "/readyz"],
        (Host::Node1, "kube-apiserver"),
        |text| text == "ok",
    )
}

/// What watches the API server, and the cluster's DNS.
pub fn start_controllers() -> Result<()> {
    start_unit(Host::Node1, kubernetes::controller_manager())?;
    start_unit(Host::Node1, kubernetes::scheduler())?;
    let applied = crate::kubectl_with_input(&["apply", "-f", "-"], kubernetes::DNS_MANIFEST)?;
    if !applied.status.success() {
        bail!(
            "the API server refused the DNS: {}",
            String::from_utf8_lossy(&applied.stderr).trim()
        );
    }
    Ok(())
}

/// The node's container runtime with the lab's images in it.
pub fn start_runtime(progress: &Progress, node: Host) -> Result<()> {
    for (path, text) in kubernetes::node_files(node)? {
        write_in(node, path, &text)?;
    }
    start_unit(node, kubernetes::containerd())?;
    progress.wait_for(
        &format!("containerd of {node}"),
        PATIENCE,
        || {
            let output = crate::exec(node, &["ctr", "version"])?;
            Ok(if output.status.success() {
                Wait::Over(())
            } else {
                Wait::NotYet(String::from_utf8_lossy(&output.stderr).trim().to_owned())
            })
        },
        || host::tail(node, "containerd"),
    )
}

/// The node's agents; they need the API server and a runtime.
pub fn start_agents(node: Host) -> Result<()> {
    start_unit(node, kubernetes::kubelet(node))?;
    start_unit(node, kubernetes::proxy(node))
}

/// Waits until both nodes take pods.
pub fn wait_nodes(progress: &Progress) -> Result<()> {
    for node in Host::NODES {
        wait_kubectl(
            progress,
            &format!("{node} Ready"),
            &[
                "get",
                "node",
                node.name(),
                "-o",
                "jsonpath={.status.conditions[?(@.type=='Ready')].status}",
            ],
            (node, "kubelet"),
            |text| text == "True",
        )?;
    }
    Ok(())
}

/// Waits until names resolve and a pod can be made.
pub fn wait_services(progress: &Progress) -> Result<()> {
    wait_kubectl(
        progress,
        "the default ServiceAccount",
        &["get", "serviceaccount", "default", "-o", "name"],
        (Host::Node1, "kube-controller-manager"),
        |text| !text.is_empty(),
    )?;
    wait_kubectl(
        progress,
        "the cluster's DNS",
        &[
            "get",
            "deployment",
            "coredns",
            "--namespace=kube-system",
            "-o",
            "jsonpath={.status.availableReplicas}",
        ],
        (Host::Node1, "kubelet"),
        |text| text == "1",
    )
}

/// Whether the cluster is in order at this moment; if not, what is wrong.
pub fn check() -> Result<Result<(), String>> {
    let ready = kubectl(&[
        "get",
        "nodes",
        "-o",
        "jsonpath={range .items[*]}{.status.conditions[?(@.type=='Ready')].status} {end}",
    ])?;
    Ok(match ready {
        Ok(text) if text == "True True" => Ok(()),
        Ok(text) => Err(format!("the nodes' Ready conditions are {text:?}")),
        Err(why) => Err(why),
    })
}
