//! Says in the status of each Gateway whether its gateway host gives signs of life: a gateway
//! whose token was revoked, or whose host is gone, cannot say so itself. Hosts renew a Lease each;
//! see docs/decisions/0050-signs-of-life-of-gateways.md.

mod silence;

use std::sync::Arc;
use std::time::{Duration, Instant};

use extconn_api::condition::ReportingReason as Reason;
use extconn_api::{Gateway, condition, names};
use futures::StreamExt;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::runtime::watcher;
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use crate::controller::Context;
use crate::controller::stores::watched;
use crate::reconcile::is_not_found;
use silence::Pulses;

/// How often is looked who is silent.
const LOOK: Duration = Duration::from_secs(5);

/// Follows the Leases, and writes the condition `Reporting`, for ever.
pub async fn follow(client: Client, context: Arc<Context>) {
    let (label, value) = names::GATEWAY_LEASE_LABEL;
    let namespace = &context.settings.connector_namespace;
    let selection = watcher::Config::default().labels(&format!("{label}={value}"));
    let mut leases = watched(Api::<Lease>::namespaced(client, namespace), selection);
    let mut pulses = Pulses::default();
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            change = leases.changes.next() => match change {
                Some(Ok(lease)) => pulses.see(&lease, Instant::now()),
                Some(Err(error)) => {
                    tracing::warn!(%error, "the watch of gateways' Leases failed, trying again");
                    // Nobody is called silent because this end does not hear.
                    pulses.begin_anew(Instant::now());
                }
                None => return,
            },
            _ = look.tick() => {
                if *leases.all_seen.borrow() {
                    pulses.forget_all_but(&leases.store.state());
                    say(&context, &pulses).await;
                }
            }
        }
    }
}

async fn say(context: &Context, pulses: &Pulses) {
    for gateway in context.stores.gateways.state() {
        let host = gateway.status.as_ref().and_then(|s| s.host_name.as_deref());
        let desired = match host {
            None => None,
            Some(host) => match pulses.judge(host, Instant::now()) {
                silence::Judgement::Unknown => None,
                silence::Judgement::TooEarly => continue,
                silence::Judgement::Reports => {
                    Some((true, Reason::Reporting, silence::reports(host)))
                }
                silence::Judgement::SilentSince(renewed) => {
                    Some((false, Reason::Silent, silence::is_silent(host, &renewed)))
                }
            },
        };
        let desired = desired.map(|(holds, reason, message)| {
            let now = Timestamp::from_second(Timestamp::now().as_second());
            condition::condition(
                condition::GATEWAY_REPORTING,
                Some(holds),
                reason,
                message,
                None,
                Time(now.unwrap_or_default()),
            )
        });
        let there = gateway.status.as_ref().and_then(reporting);
        if same(there, desired.as_ref()) {
            continue;
        }
        write(context, &gateway, desired).await;
    }
}

fn reporting(status: &extconn_api::GatewayStatus) -> Option<&Condition> {
    condition::find(&status.conditions, condition::GATEWAY_REPORTING)
}

/// Whether they say the same: the time of the one that is there stays.
fn same(there: Option<&Condition>, desired: Option<&Condition>) -> bool {
    let words = |c: &Condition| (c.status.clone(), c.reason.clone(), c.message.clone());
    there.map(words) == desired.map(words)
}

async fn write(context: &Context, gateway: &Gateway, desired: Option<Condition>) {
    let name = gateway.name_any();
    if let Some(condition) = &desired {
        let (gateway, message) = (&name, &condition.message);
        match condition.status.as_str() {
            "True" => tracing::info!(gateway, "{message}"),
            _ => tracing::warn!(gateway, "{message}"),
        }
    }
    let object = json!({
        "apiVersion": Gateway::api_version(&()),
        "kind": Gateway::kind(&()),
        "metadata": {"name": name},
        "status": {"conditions": desired.into_iter().collect::<Vec<_>>()},
    });
    let api: Api<Gateway> = context.connector();
    let params = PatchParams::apply(names::field_manager::OPERATOR_REPORTING).force();
    match api
        .patch_status(&name, &params, &Patch::Apply(object))
        .await
    {
        Ok(_) => {}
        Err(error) if is_not_found(&error) => {}
        Err(error) => {
            tracing::warn!(gateway = name, %error, "failed to say whether it reports, trying again");
        }
    }
}
