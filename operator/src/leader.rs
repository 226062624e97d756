//! One operator at a time: a Lease in the connector namespace says which. See
//! docs/decisions/0014-own-lease-elector.md.
//!
//! A Lease is no lock: a leader that sleeps through its Lease may send one more write when it
//! wakes. Reconciles bear that: they are idempotent, and what they delete they name by its UID.

mod lease;

use std::time::Duration;

use anyhow::{anyhow, bail};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use extconn_api::names;
use lease::{Step, View};

/// A leader that could not renew for this long stops: before another may follow it.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);

/// How often the Lease is renewed, or looked at.
const PERIOD: Duration = Duration::from_secs(2);

/// A candidate for the Lease, or its holder.
pub struct Elector {
    api: Api<Lease>,
    identity: String,
    began: Instant,
    view: View,
}

/// What became of an attempt.
enum Attempt {
    Held,
    /// Another one holds it, if it is known who.
    Lost(String),
}

impl Elector {
    /// A candidate. `identity`: a name that no other process has at the same time.
    pub fn new(client: Client, connector_namespace: &str, identity: String) -> Self {
        Self {
            api: Api::namespaced(client, connector_namespace),
            identity,
            began: Instant::now(),
            view: View::default(),
        }
    }

    /// Waits until the Lease is ours. `standing_by` is called each time another has been seen to
    /// hold it.
    pub async fn acquire(&mut self, standing_by: impl Fn()) {
        let mut leader = String::new();
        loop {
            match timeout(RENEW_DEADLINE, self.attempt()).await {
                Ok(Ok(Attempt::Held)) => {
                    tracing::info!(identity = self.identity, "leading");
                    return;
                }
                Ok(Ok(Attempt::Lost(holder))) => {
                    if holder != leader {
                        tracing::info!(identity = self.identity, leader = holder, "standing by");
                        leader = holder;
                    }
                    standing_by();
                }
                Ok(Err(error)) => {
                    tracing::warn!(%error, "failed to take the Lease, trying again");
                }
                Err(_) => tracing::warn!("no answer about the Lease, trying again"),
            }
            // Candidates that start together do not stay in step.
            sleep(PERIOD.mul_f64(rand::random_range(1.0..1.2))).await;
        }
    }

    /// Renews the Lease for as long as that works.
    ///
    /// # Errors
    /// Another one holds it, or it could not be renewed in time: this process has to end.
    pub async fn keep(&mut self) -> anyhow::Result<()> {
        let mut renewed = Instant::now();
        loop {
            sleep(PERIOD).await;
            let began = Instant::now();
            match timeout_at(renewed + RENEW_DEADLINE, self.attempt()).await {
                Ok(Ok(Attempt::Held)) => renewed = began,
                Ok(Ok(Attempt::Lost(holder))) => {
                    bail!(
                        "the Lease {} is held by {holder} now",
                        names::OPERATOR_LEASE
                    )
                }
                Ok(Err(error)) => tracing::warn!(%error, "failed to renew the Lease, trying again"),
                Err(_) => {
                    return Err(anyhow!(
                        "the Lease {} could not be renewed for {} seconds, so another operator \
                         may lead by now",
                        names::OPERATOR_LEASE,
                        RENEW_DEADLINE.as_secs()
                    ));
                }
            }
        }
    }

    /// Gives the Lease back, so that another need not wait until it runs out.
    pub async fn release(self) {
        match timeout(PERIOD, self.give_back()).await {
            Ok(Ok(true)) => tracing::info!("the Lease has been given back"),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "failed to give the Lease back"),
            Err(_) => tracing::warn!("no answer when the Lease was given back"),
        }
    }

    /// Whether it was ours to give. It is read anew, and again if it changed meanwhile: a renewal
    /// that nobody waits for any more may still arrive.
    async fn give_back(&self) -> kube::Result<bool> {
        loop {
            let Some(lease) = self.api.get_opt(names::OPERATOR_LEASE).await? else {
                return Ok(false);
            };
            if lease.spec.as_ref().and_then(lease::holder) != Some(&self.identity) {
                return Ok(false);
            }
            let free = lease::released(&lease, now());
            let parameters = PostParams::default();
            match (self.api.replace(names::OPERATOR_LEASE, &parameters, &free)).await {
                Err(kube::Error::Api(status)) if status.is_conflict() => {}
                answer => return answer.map(|_| true),
            }
        }
    }

    async fn attempt(&mut self) -> kube::Result<Attempt> {
        let seen = self.api.get_opt(names::OPERATOR_LEASE).await?;
        let now_here = self.began.elapsed();
        if self.view.see(seen.as_ref(), &self.identity, now_here) == Step::Wait {
            let spec = seen.as_ref().and_then(|lease| lease.spec.as_ref());
            let holder = spec.and_then(lease::holder).unwrap_or_default();
            return Ok(Attempt::Lost(holder.to_owned()));
        }
        let desired = lease::held(seen.as_ref(), &self.identity, now());
        let parameters = PostParams::default();
        match seen {
            Some(_) => {
                let name = names::OPERATOR_LEASE;
                self.api.replace(name, &parameters, &desired).await?
            }
            None => self.api.create(&parameters, &desired).await?,
        };
        Ok(Attempt::Held)
    }
}

fn now() -> MicroTime {
    MicroTime(Timestamp::now())
}
