//! Signs of life: the gateway renews a Lease of its own, by which the operator notices that it is
//! silent. Each renewal is also a question to the API server: does it answer, does it take the
//! token, what time is it there?

use std::time::Duration;

use extconn_agent::logs::causes;
use extconn_agent::view::{self, Bell};
use extconn_api::names;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, OwnerReference};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

use crate::clock;

/// Time between two renewals.
const PERIOD: Duration = Duration::from_secs(20);

/// Pause after a renewal that failed.
const RETRY: Duration = Duration::from_secs(5);

/// Longest wait for an answer of the API server.
const DEADLINE: Duration = Duration::from_secs(10);

/// Seconds of silence after which the operator calls the gateway silent: two renewals may fail.
const LEASE_SECONDS: i32 = 60;

/// How the API server stands to this gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ApiState {
    /// It was not asked yet.
    #[default]
    NotAsked,
    /// It answers.
    Answers,
    /// It does not take the token: it has ended or was revoked.
    RefusesToken,
    /// It takes the token, and refuses what the gateway asks.
    Refuses,
    /// It does not answer.
    Away,
}

/// What the last renewal showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    /// How the API server stands to this gateway.
    pub api: ApiState,
    /// Seconds by which this host's clock is ahead of the API server's, when it last answered.
    pub clock_ahead: Option<i64>,
}

/// Renews the Lease for ever.
pub struct Heartbeat {
    /// The Leases of the connector namespace.
    pub leases: Api<Lease>,
    /// Name of this host.
    pub host_name: String,
    /// A Gateway object that this host speaks for: the Lease goes with it. Without one, the API
    /// server is asked all the same, and nothing is kept.
    pub owner: watch::Receiver<Option<OwnerReference>>,
    /// Where to tell what a renewal showed.
    pub pulse_tx: watch::Sender<Pulse>,
    /// Rings when that changed.
    pub bell: Bell,
}

impl Heartbeat {
    /// The Leases of a namespace.
    pub fn leases(client: Client, namespace: &str) -> Api<Lease> {
        Api::namespaced(client, namespace)
    }

    /// Renews for ever.
    pub async fn beat(mut self) {
        loop {
            let (api, clock_ahead) = self.renew().await;
            let pause = if api == ApiState::Answers {
                PERIOD
            } else {
                RETRY
            };
            let changed = self.pulse_tx.send_if_modified(|pulse| {
                let clock_ahead = clock_ahead
                    .map(|ahead| clock::steadied(pulse.clock_ahead, ahead))
                    .or(pulse.clock_ahead);
                let now = Pulse { api, clock_ahead };
                let changed = *pulse != now;
                *pulse = now;
                changed
            });
            if changed {
                view::ring(&self.bell);
            }
            tokio::select! {
                () = sleep(pause) => {}
                // A Lease that can be kept from now on is made at once.
                changed = self.owner.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn renew(&mut self) -> (ApiState, Option<i64>) {
        let owner = self.owner.borrow_and_update().clone();
        let before = Timestamp::now();
        let lease = lease(&self.host_name, owner.as_ref(), before);
        let name = names::gateway_lease(&self.host_name);
        let mut params = PatchParams::apply(names::field_manager::GATEWAY).force();
        params.dry_run = owner.is_none();
        let patch = Patch::Apply(&lease);
        let answer = timeout(DEADLINE, self.leases.patch(&name, &params, &patch)).await;
        let was = self.pulse_tx.borrow().api.clone();
        match answer {
            Ok(Ok(lease)) => {
                if was != ApiState::Answers {
                    info!("the API server answers");
                }
                let there = clock::written_at(&lease.metadata, names::field_manager::GATEWAY);
                let here = (before.as_second(), Timestamp::now().as_second());
                let ahead = there.map(|there| clock::ahead(here, there));
                (ApiState::Answers, ahead)
            }
            Ok(Err(error)) => (judged(&error, &was), None),
            Err(_) => {
                let error = format!("no answer in {} s", DEADLINE.as_secs());
                if was != ApiState::Away {
                    warn!(error, "the API server does not answer, trying again");
                }
                (ApiState::Away, None)
            }
        }
    }
}

/// What an error says of the API server; logged when it is news.
fn judged(error: &kube::Error, was: &ApiState) -> ApiState {
    let code = match error {
        kube::Error::Api(status) => status.code,
        _ => 0,
    };
    let error = causes(error);
    match code {
        401 => {
            if *was != ApiState::RefusesToken {
                error!(
                    error,
                    "the API server refuses the token of this gateway: it has ended or was \
                     revoked. Put a new one into the token file, made with kubectl create token \
                     extconn-gateway; until then what was last known stays in effect"
                );
            }
            ApiState::RefusesToken
        }
        403 => {
            if *was != ApiState::Refuses {
                error!(
                    error,
                    "the API server does not let this gateway give signs of life: bring the \
                     chart up to date"
                );
            }
            ApiState::Refuses
        }
        _ => {
            if *was != ApiState::Away {
                warn!(error, "the API server does not answer, trying again");
            }
            ApiState::Away
        }
    }
}

fn lease(host_name: &str, owner: Option<&OwnerReference>, now: Timestamp) -> serde_json::Value {
    let (label, value) = names::GATEWAY_LEASE_LABEL;
    json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": names::gateway_lease(host_name),
            "labels": {"app.kubernetes.io/part-of": "extconn", label: value},
            "annotations": {names::ANNOTATION_VERSION: env!("CARGO_PKG_VERSION")},
            "ownerReferences": owner.into_iter().collect::<Vec<_>>(),
        },
        "spec": {
            "holderIdentity": host_name,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": MicroTime(now),
        },
    })
}
