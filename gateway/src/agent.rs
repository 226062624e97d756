//! What this gateway has seen, what it does about it, and what it tells.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use extconn_agent::logs::causes;
use extconn_agent::pace::Pace;
use extconn_agent::probes::Readiness;
use extconn_agent::publish::{Heard, Publisher, Told, send_if_changed};
use extconn_agent::view::{self, View};
use extconn_api::{Forwarder, Gateway as GatewayObject, GatewayStatus, names};
use extconn_dataplane::gateway::{Gateway, GatewayConfig, RulesState, SshState};
use extconn_dataplane::identity::PublicKey;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
use kube::runtime::watcher;
use kube::{Api, Client, Resource};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::addresses::{AddressError, Addresses};
use crate::build::{self, Plan};
use crate::heartbeat::{ApiState, Pulse};
use crate::host_file::{Assignment, HostFile};
use crate::last_good::{LastGood, Objects};
use crate::metrics::Meters;
use crate::status::{self, Effect, HostFacts, Presence};

/// What an agent is made of.
pub struct Parts {
    /// What the host allows.
    pub host: HostFile,
    /// The host's name.
    pub host_name: String,
    /// The host's ssh key.
    pub public_key: PublicKey,
    /// The data plane.
    pub plane: Arc<Gateway>,
    /// The host's addresses.
    pub addresses: Addresses,
    /// Where the last good objects are kept.
    pub last_good: LastGood,
    /// The last good objects, until the API has given better ones.
    pub fallback: Option<Objects>,
    /// What the last sign of life showed.
    pub pulse: watch::Receiver<Pulse>,
    /// A Gateway object that this host speaks for, for the Lease to go with it.
    pub owner_tx: watch::Sender<Option<OwnerReference>>,
}

/// The views, the data plane, and what was last done with them.
pub struct Agent {
    parts: Parts,
    gateways: View<GatewayObject>,
    forwarders: View<Forwarder>,
    told_tx: watch::Sender<Told<GatewayStatus>>,
    heard_tx: watch::Sender<Heard<GatewayStatus>>,
    readiness_tx: watch::Sender<Readiness>,
    meters: Arc<Meters>,

    /// What the objects ask for; `None` until there are objects.
    plan: Option<Plan>,
    from_api: bool,
    in_effect: Option<GatewayConfig>,
    failure: Option<String>,
    retry: Pace,
    assigning: BTreeMap<Ipv4Addr, (Pace, String)>,
}

impl Agent {
    /// Begins to follow the API.
    pub fn start(
        parts: Parts,
        client: &Client,
        bell: view::Bell,
        readiness_tx: watch::Sender<Readiness>,
        meters: Arc<Meters>,
    ) -> Self {
        let namespace = &parts.host.connector_namespace;
        let gateways: Api<GatewayObject> = Api::namespaced(client.clone(), namespace);
        let publisher = Publisher::new(gateways, names::field_manager::GATEWAY);
        let (told_tx, told) = watch::channel(Told::new());
        let (heard_tx, heard) = watch::channel(Heard::new());
        tokio::spawn(publisher.keep(told, heard, Clone::clone));
        let all = watcher::Config::default;
        Self {
            gateways: View::follow(client, namespace, all(), "gateways", |_| (), bell.clone()),
            forwarders: View::follow(client, namespace, all(), "forwarders", |_| (), bell),
            parts,
            told_tx,
            heard_tx,
            readiness_tx,
            meters,
            plan: None,
            from_api: false,
            in_effect: None,
            failure: None,
            retry: Pace::default(),
            assigning: BTreeMap::new(),
        }
    }

    /// One look at everything, and what follows from it.
    pub async fn pass(&mut self) {
        let presence = self.assign_addresses().await;
        self.read_objects();
        self.put_into_effect().await;
        self.tell(&presence);
    }

    /// Where each source IP of the host file is, after those that are the gateway's to assign
    /// were assigned.
    async fn assign_addresses(&mut self) -> BTreeMap<Ipv4Addr, Presence> {
        let present = self.parts.addresses.present();
        let mut presence = BTreeMap::new();
        for (&ip, assignment) in &self.parts.host.source_ips {
            let state = match assignment {
                _ if present.contains(&ip) => {
                    self.assigning.remove(&ip);
                    Presence::Present
                }
                Assignment::Administrator => Presence::Missing,
                Assignment::Gateway(interface) => {
                    let (pace, reason) = self.assigning.entry(ip).or_default();
                    if pace.due() <= Instant::now() {
                        pace.note();
                        match self.parts.addresses.assign(ip, interface).await {
                            Ok(()) => reason.clear(),
                            Err(error) => {
                                warn!(%error, "cannot assign a source IP, trying again");
                                *reason = error.to_string();
                            }
                        }
                    }
                    match reason.is_empty() {
                        true => Presence::Present,
                        false => Presence::AssignFailed(reason.clone()),
                    }
                }
            };
            self.meters.set_source_ip(ip, state == Presence::Present);
            presence.insert(ip, state);
        }
        presence
    }

    /// Takes over the objects of the API once both kinds were listed, until then the last good.
    fn read_objects(&mut self) {
        let own = self.parts.addresses.present();
        let host = &self.parts.host;
        let live = self.gateways.objects().zip(self.forwarders.objects());
        let plan = if let Some((gateways, forwarders)) = live {
            let plan = plan(&gateways, &forwarders, host, &own);
            // What does not change the plan is of no use after a restart either.
            if !self.from_api || self.plan.as_ref() != Some(&plan) {
                self.parts.last_good.keep(&gateways, &forwarders);
            }
            self.parts.fallback = None;
            if !self.from_api {
                info!(
                    gateways = gateways.len(),
                    forwarders = forwarders.len(),
                    "following the API"
                );
                self.from_api = true;
            }
            plan
        } else if let Some(objects) = &self.parts.fallback {
            build::plan(&objects.gateways, &objects.forwarders, host, &own)
        } else {
            return;
        };
        log_refusals(self.plan.as_ref(), &plan);
        self.plan = Some(plan);
    }

    /// Hands the plan to the data plane, if it changed or failed before.
    async fn put_into_effect(&mut self) {
        let Some(plan) = &self.plan else {
            return;
        };
        let unchanged = self.in_effect.as_ref() == Some(&plan.config);
        if unchanged || (self.failure.is_some() && self.retry.due() > Instant::now()) {
            return;
        }
        match self.parts.plane.apply(plan.config.clone()).await {
            Ok(()) => {
                info!(
                    source_ips = plan.claims.len(),
                    keys = plan.config.keys.len(),
                    ingress = plan.config.ingress.len(),
                    "configuration in effect"
                );
                self.in_effect = Some(plan.config.clone());
                self.failure = None;
            }
            Err(error) => {
                let error = causes(&error);
                error!(error, "configuration not in effect, trying again");
                // Part of it may be: what was in effect before has to be put there again too.
                self.in_effect = None;
                self.meters.apply_failures.inc();
                self.failure = Some(error);
                self.retry.note();
            }
        }
    }

    /// Publishes status, readiness and metrics.
    fn tell(&mut self, presence: &BTreeMap<Ipv4Addr, Presence>) {
        let report = self.parts.plane.report().borrow().clone();
        let pulse = self.parts.pulse.borrow().clone();
        self.meters.set_tunnels(&report.tunnels);
        self.meters.set_pulse(&pulse, &report.ssh);
        self.meters
            .set_in_effect(self.is_in_effect(), self.from_api);
        let effect = match (&self.failure, &report.rules) {
            (Some(reason), _) | (None, RulesState::Failed(reason)) => {
                Effect::Failed(reason.clone())
            }
            (None, RulesState::Applied) => match &report.ssh {
                SshState::Failed(reason) => Effect::NotListening(reason.clone()),
                // What there is of a plan is in effect: it was put there first, or failed.
                SshState::Listening => Effect::Complete,
            },
        };
        let facts = HostFacts {
            host_name: self.parts.host_name.clone(),
            ssh_endpoint: self.parts.host.ssh_endpoint.to_string(),
            host_key: self.parts.public_key.to_string(),
            effect,
            clock_ahead: pulse.clock_ahead,
        };
        if let Some(objects) = self.gateways.objects() {
            self.tell_objects(&objects, presence, &facts);
        }
        let readiness = match (&self.plan, &facts.effect) {
            (None, _) => Readiness::NotReady(
                "the Kubernetes API was not reached yet, and there is no last good configuration"
                    .to_owned(),
            ),
            (Some(_), Effect::Complete) => match remark(&pulse.api) {
                None => Readiness::Ready,
                Some(remark) => Readiness::ReadyBut(remark.to_owned()),
            },
            (Some(_), Effect::Failed(reason) | Effect::NotListening(reason)) => {
                Readiness::NotReady(reason.clone())
            }
        };
        if send_if_changed(&self.readiness_tx, readiness.clone()) {
            info!(%readiness, "readiness changed");
        }
    }

    fn tell_objects(
        &self,
        objects: &[Arc<GatewayObject>],
        presence: &BTreeMap<Ipv4Addr, Presence>,
        facts: &HostFacts,
    ) {
        let heard: Heard<_> = objects
            .iter()
            .filter_map(|g| {
                Some((
                    g.metadata.name.clone()?,
                    g.status.as_ref().map(status::heard),
                ))
            })
            .collect();
        let now = Time(Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default());
        let before = self.told_tx.borrow().clone();
        let mut told = Told::new();
        for (name, claim) in self.plan.iter().flat_map(|p| &p.claims) {
            let presence = presence.get(&claim.source_ip).unwrap_or(&Presence::Missing);
            let heard = heard.get(name).and_then(Option::as_ref);
            if !status::speaks_for(&facts.host_name, presence, heard) {
                continue;
            }
            let previous = before.get(name).or(heard);
            told.insert(
                name.clone(),
                status::status(claim, presence, facts, previous, &now),
            );
        }
        let spoken_for = objects.iter().find(|object| {
            let name = object.metadata.name.as_ref();
            name.is_some_and(|name| told.contains_key(name))
        });
        send_if_changed(&self.parts.owner_tx, spoken_for.and_then(owner));
        send_if_changed(&self.heard_tx, heard);
        send_if_changed(&self.told_tx, told);
    }

    /// Whether what the objects ask for is in effect.
    pub fn is_in_effect(&self) -> bool {
        self.plan
            .as_ref()
            .is_some_and(|plan| self.in_effect.as_ref() == Some(&plan.config))
    }

    /// The state in a line for people.
    pub fn in_one_line(&self) -> String {
        let from = match (&self.plan, self.from_api) {
            (None, _) => return "waiting for the Kubernetes API".to_owned(),
            (Some(_), true) => "",
            (Some(_), false) => ", from the last good configuration",
        };
        let served = self.plan.as_ref().map_or(0, |p| p.claims.len());
        let connected = self.parts.plane.report().borrow().tunnels.len();
        let failure = self.failure.as_ref().map(|f| format!("; failed: {f}"));
        let api = remark(&self.parts.pulse.borrow().api).map(|remark| format!("; {remark}"));
        let ssh = match &self.parts.plane.report().borrow().ssh {
            SshState::Failed(reason) => format!("; cannot {reason}"),
            SshState::Listening => String::new(),
        };
        format!(
            "{served} source IPs in use, {connected} forwarders connected{from}{ssh}{}{}",
            failure.unwrap_or_default(),
            api.unwrap_or_default()
        )
    }

    /// When to look again though nothing rang; far away if nothing failed.
    pub fn retry_at(&self) -> Instant {
        let apply = self.failure.as_ref().map(|_| self.retry.due());
        let assign = self.assigning.values().map(|(pace, _)| pace.due());
        let day = Instant::now() + Duration::from_secs(86_400);
        apply.into_iter().chain(assign).min().unwrap_or(day)
    }

    /// Ends all connections: lets them finish for at most `within`.
    pub async fn stop(&self, within: Duration) {
        self.parts.plane.drain(within).await;
    }

    /// Takes the source IPs that the gateway assigned off the host.
    pub async fn withdraw_addresses(&mut self) -> Vec<AddressError> {
        self.parts.addresses.withdraw().await
    }
}

/// What a person should know of the API server though all goes on without it.
fn remark(api: &ApiState) -> Option<&'static str> {
    match api {
        ApiState::NotAsked | ApiState::Answers => None,
        // `kubectl extconn init` looks for these words: TOKEN_REFUSED in its gateway_install.rs.
        ApiState::RefusesToken => Some(
            "the Kubernetes API refuses the token, which must be replaced; what was last known \
             stays in effect",
        ),
        ApiState::Refuses => {
            Some("the Kubernetes API refuses this gateway's Lease: bring the chart up to date")
        }
        ApiState::Away => {
            Some("the Kubernetes API does not answer; what was last known stays in effect")
        }
    }
}

/// The object as an owner, if the API server gave it.
fn owner(object: &Arc<GatewayObject>) -> Option<OwnerReference> {
    object.owner_ref(&())
}

fn plan(
    gateways: &[Arc<GatewayObject>],
    forwarders: &[Arc<Forwarder>],
    host: &HostFile,
    own: &BTreeSet<Ipv4Addr>,
) -> Plan {
    let gateways = gateways.iter().map(Arc::as_ref);
    build::plan(gateways, forwarders.iter().map(Arc::as_ref), host, own)
}

/// Logs what is refused and was not before.
fn log_refusals(before: Option<&Plan>, plan: &Plan) {
    let known = |problem| before.is_some_and(|b| b.problems.contains(problem));
    for problem in plan.problems.iter().filter(|p| !known(p)) {
        warn!(problem, "a key is not admitted");
    }
    for (gateway, claim) in &plan.claims {
        let before = before.and_then(|b| b.claims.get(gateway));
        let known = |refusal| before.is_some_and(|b| b.refusals.contains(refusal));
        for refusal in claim.refusals.iter().filter(|r| !known(r)) {
            let reason = refusal.refusal.sentence();
            warn!(gateway, reason, "a grant is left out");
        }
    }
}
