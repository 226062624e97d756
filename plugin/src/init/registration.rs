//! Waits until a gateway has reported to the cluster that it holds its source IPs.
//!
//! A Gateway object is made by the operator when an ExternalService wants its source IP. Before
//! that, this makes one that grants nothing, sees the gateway report into it, and removes it.

use std::net::Ipv4Addr;
use std::time::Duration;

use extconn_api::condition::{self, GatewayCondition};
use extconn_api::{Gateway, names};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use serde_json::json;

use crate::cluster::{Cluster, FIELD_MANAGER, api, is_conflict, is_not_found};
use crate::failure::Failure;
use crate::terminal::progress::Step;

/// How often is looked whether it has reported.
const LOOK: Duration = Duration::from_millis(300);

/// Waits for each source IP until its gateway has reported that it is programmed.
///
/// # Errors
/// One has not within `timeout`: with its own words.
pub(crate) async fn wait(
    cluster: &Cluster,
    namespace: &str,
    source_ips: &[Ipv4Addr],
    step: &Step,
    timeout: Duration,
) -> Result<(), Failure> {
    let gateways: Api<Gateway> = Api::namespaced(cluster.client.clone(), namespace);
    let mut made = Vec::new();
    let mut result = Ok(());
    for ip in source_ips {
        match ask(&gateways, *ip).await {
            Ok(is_ours) if is_ours => made.push(*ip),
            Ok(_) => {}
            Err(failure) => result = result.and(Err(failure)),
        }
    }
    let deadline = tokio::time::Instant::now() + timeout;
    for ip in source_ips {
        if result.is_ok() {
            result = wait_for(&gateways, *ip, step, deadline).await;
        }
    }
    for ip in made {
        let removed = withdraw(&gateways, ip).await;
        result = result.and(removed);
    }
    result
}

/// Takes away the Gateways that an interrupted [`wait`] has left; those with a grant in them stay.
///
/// # Errors
/// The API server's refusal.
pub(crate) async fn clear(
    cluster: &Cluster,
    namespace: &str,
    source_ips: &[Ipv4Addr],
) -> Result<(), Failure> {
    let gateways: Api<Gateway> = Api::namespaced(cluster.client.clone(), namespace);
    for ip in source_ips {
        let found = gateways.get_opt(&names::gateway(*ip)).await;
        if matches!(found, Ok(Some(found)) if is_ours(&found)) {
            withdraw(&gateways, *ip).await?;
        }
    }
    Ok(())
}

fn is_ours(gateway: &Gateway) -> bool {
    gateway
        .labels()
        .get(names::LABEL_MANAGED_BY)
        .is_some_and(|by| by == FIELD_MANAGER)
}

/// Makes the Gateway of `ip` unless it is there; whether it was made.
async fn ask(gateways: &Api<Gateway>, ip: Ipv4Addr) -> Result<bool, Failure> {
    let name = names::gateway(ip);
    let found = gateways
        .get_opt(&name)
        .await
        .map_err(api(format_args!("read Gateway {name}")))?;
    if let Some(found) = found {
        return Ok(is_ours(&found));
    }
    let object = json!({
        "apiVersion": "extconn.submariner.io/v1alpha1",
        "kind": "Gateway",
        "metadata": {"name": name, "labels": {names::LABEL_MANAGED_BY: FIELD_MANAGER}},
        "spec": {"sourceIP": ip},
    });
    let parameters = PatchParams::apply(FIELD_MANAGER);
    let done = gateways
        .patch(&name, &parameters, &Patch::Apply(object))
        .await;
    done.map(|_| true)
        .map_err(api(format_args!("make Gateway {name}")))
}

async fn wait_for(
    gateways: &Api<Gateway>,
    ip: Ipv4Addr,
    step: &Step,
    deadline: tokio::time::Instant,
) -> Result<(), Failure> {
    let name = names::gateway(ip);
    loop {
        let found = gateways
            .get_opt(&name)
            .await
            .map_err(api(format_args!("read Gateway {name}")))?;
        let waiting_for = match found.as_ref().map(not_programmed) {
            Some(None) => return Ok(()),
            Some(Some(why)) => why,
            None => "its Gateway object is gone".to_owned(),
        };
        if tokio::time::Instant::now() >= deadline {
            return Err(Failure::failed(format!(
                "the gateway has not taken over source IP {ip}: {waiting_for}"
            ))
            .next("see `kubectl extconn logs gateway`, then run this again"));
        }
        step.waiting_for(&format!("{ip}: {waiting_for}"));
        tokio::time::sleep(LOOK).await;
    }
}

/// Why a gateway has not carried out its part, or nothing if it has.
fn not_programmed(gateway: &Gateway) -> Option<String> {
    let Some(status) = gateway
        .status
        .as_ref()
        .filter(|status| status.host_key.is_some())
    else {
        return Some("no gateway has reported for it".to_owned());
    };
    let generation = gateway.metadata.generation;
    for type_ in [
        GatewayCondition::AddressAssigned,
        GatewayCondition::Programmed,
    ] {
        match condition::find(&status.conditions, type_) {
            Some(found) if found.status == "True" && found.observed_generation == generation => {}
            Some(found) if found.status != "True" => {
                return Some(format!("{}: {}", found.reason, found.message));
            }
            _ => {
                return Some(format!(
                    "the gateway has not yet said whether it is {type_}"
                ));
            }
        }
    }
    None
}

/// Removes the Gateway that [`ask`] made, unless somebody has put a grant into it meanwhile.
async fn withdraw(gateways: &Api<Gateway>, ip: Ipv4Addr) -> Result<(), Failure> {
    let name = names::gateway(ip);
    loop {
        let found = gateways
            .get_opt(&name)
            .await
            .map_err(api(format_args!("read Gateway {name}")))?;
        let Some(found) = found.filter(|found| found.spec.forwarders.is_empty()) else {
            return Ok(());
        };
        let unchanged = Preconditions {
            uid: found.uid(),
            resource_version: found.resource_version(),
        };
        match gateways
            .delete(&name, &DeleteParams::default().preconditions(unchanged))
            .await
        {
            Ok(_) => return Ok(()),
            Err(error) if is_not_found(&error) => return Ok(()),
            // The gateway has just reported into it: look again.
            Err(error) if is_conflict(&error) => {}
            Err(error) => return Err(api(format_args!("remove Gateway {name}"))(error)),
        }
    }
}
