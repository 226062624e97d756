//! Removes a gateway from its host, if it still is this cluster's.

use super::carry_out::Work;
use super::plan::Scope;
use crate::cluster::api_server;
use crate::cluster::gateway_hosts::{self, GatewayHost};
use crate::failure::Failure;
use crate::host::ssh::Ssh;
use crate::init::{ServedCluster, UNINSTALL, refuse_another_cluster, served_cluster};
use crate::terminal::progress::Step;

/// Removes the gateway from the host that ssh reaches as `destination`, then the note of it.
///
/// # Errors
/// What ssh or the host said, or that it serves another cluster; the note stays, so that the next
/// run finds the host.
pub(super) async fn remove(
    work: &Work<'_>,
    destination: &str,
    note: Option<&GatewayHost>,
) -> Result<(), Failure> {
    let is_named = matches!(work.scope, Scope::OneHost(_));
    let login = Ssh::connect(destination, &work.args.ssh, work.may_ask).await;
    let ssh = login.map_err(|failure| failure.or(way_around(destination, is_named)))?;
    let terminal = work.invocation.terminal;
    refuse_another_clusters(work, &ssh).await?;
    let step = Step::begin(terminal, format!("removing the gateway from {destination}"));
    step.ends(async {
        let said = ssh.script_with("sh -s", UNINSTALL.as_bytes()).await?;
        if !said.ok() {
            let why = said.complaints("uninstall.sh");
            return Err(Failure::failed(format!("{destination}: {why}"))
                .next("correct that on the host, then run this again"));
        }
        forget(work, note).await?;
        Ok(format!("nothing of extconn is left on {destination}"))
    })
    .await
}

/// Forgets the host in the cluster.
///
/// # Errors
/// The API server's refusal.
pub(super) async fn forget(work: &Work<'_>, note: Option<&GatewayHost>) -> Result<(), Failure> {
    match note {
        Some(host) => gateway_hosts::forget(&work.cluster, &work.namespace, host).await,
        None => Ok(()),
    }
}

/// Leaves a gateway alone that is another cluster's by now. A host whose cluster cannot be told is
/// taken for ours, and so is every host if nobody may read our own certificates.
async fn refuse_another_clusters(work: &Work<'_>, ssh: &Ssh) -> Result<(), Failure> {
    let serves = served_cluster(ssh).await?;
    let Ok(authority) = api_server::certificate_authority(&work.cluster).await else {
        return Ok(());
    };
    let ours = ServedCluster::new(&work.cluster.server(), &authority);
    let destination = ssh.destination();
    refuse_another_cluster(destination, serves.as_ref(), &ours).map_err(|refusal| {
        refusal.next(format!(
            "remove it with that cluster's context; `kubectl extconn uninstall --gateway {destination} --forget` makes this cluster forget the host"
        ))
    })
}

/// What the user can do about a host that does not let them in.
fn way_around(destination: &str, is_named: bool) -> String {
    if is_named {
        return "if the host is gone or no longer yours, forget it with --forget".to_owned();
    }
    format!(
        "leave all hosts as they are with --keep-gateways; or, if this one is gone, forget it first: `kubectl extconn uninstall --gateway {destination} --forget`"
    )
}
