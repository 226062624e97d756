//! What this replica has seen, what it does about it, and what it tells.

use std::collections::{BTreeSet, HashSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use extconn_agent::logs::causes;
use extconn_agent::probes::Readiness;
use extconn_agent::publish::{Heard, Publisher, Told, send_if_changed};
use extconn_agent::view::{self, View};
use extconn_api::forwarder::{ForwarderStatus, ReplicaStatus};
use extconn_api::{Forwarder as ForwarderObject, names, node_addresses};
use extconn_dataplane::forwarder::{Forwarder, ForwarderConfig};
use extconn_dataplane::identity::PublicKey;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::watcher;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::args::Args;
use crate::build::{self, Plan};
use crate::lookup::Lookups;
use crate::metrics::Meters;
use crate::peers;
use crate::pods::Pods;
use crate::readiness::{self, Reached};
use crate::status::replica_status;

/// Pause before a configuration that failed is tried again.
const APPLY_RETRY: Duration = Duration::from_secs(1);

/// Longest wait for the API server to take the replica's entry out of the status at the end.
const WITHDRAW_DEADLINE: Duration = Duration::from_secs(3);

/// Clients of the Kubernetes API.
pub struct Clients {
    /// For what this replica needs.
    pub own: Client,
    /// For questions that anybody who connects can bring about.
    pub rationed: Client,
}

/// The views, the data plane, and what was last done with them.
pub struct Agent {
    http_port: u16,
    pod_name: String,
    public_key: PublicKey,
    /// The data plane.
    pub plane: Arc<Forwarder>,
    object: View<ForwarderObject>,
    node_addresses: View<ConfigMap>,
    pods: Pods,
    lookups: Lookups,
    name: String,
    publisher: Publisher<ForwarderObject>,
    publishing: tokio::task::JoinHandle<()>,
    told_tx: watch::Sender<Told<ReplicaStatus>>,
    heard_tx: watch::Sender<Heard<ReplicaStatus>>,
    readiness_tx: watch::Sender<Readiness>,
    meters: Arc<Meters>,
    started: Instant,

    /// The object's wishes as last read; `None` until the object was first looked for.
    plan: Option<Plan>,
    /// What the data plane carries out, and of which generation; `None` until it does.
    in_effect: Option<(ForwarderConfig, Option<i64>)>,
    retry_at: Option<Instant>,
    nodes: Option<HashSet<Ipv4Addr>>,
    nodes_problem: Option<String>,
    sighting: peers::Sighting,
    /// Whether the end has begun.
    pub terminating: bool,
}

impl Agent {
    /// Begins to follow; nothing is accepted yet.
    pub fn start(
        args: &Args,
        plane: Arc<Forwarder>,
        public_key: PublicKey,
        clients: Clients,
        bell: view::Bell,
        readiness_tx: watch::Sender<Readiness>,
        meters: Arc<Meters>,
    ) -> Self {
        let client = &clients.own;
        let forwarders: Api<ForwarderObject> = Api::namespaced(client.clone(), &args.pod_namespace);
        let manager = names::field_manager::forwarder(&args.pod_name);
        let publisher = Publisher::new(forwarders, manager);
        let (told_tx, told) = watch::channel(Told::new());
        let (heard_tx, heard) = watch::channel(Heard::new());
        let lookups = Lookups::start(
            clients.rationed,
            bell.clone(),
            meters.clone(),
            plane.strangers(),
        );
        let publishing = tokio::spawn(publisher.clone().keep(told, heard, only_replica));
        Self {
            http_port: args.http_port,
            pod_name: args.pod_name.clone(),
            public_key,
            plane,
            object: View::follow(
                client,
                &args.pod_namespace,
                only(&args.forwarder),
                format!("forwarder {}", args.forwarder),
                |_| (),
                bell.clone(),
            ),
            node_addresses: View::follow(
                client,
                &args.pod_namespace,
                only(names::NODE_ADDRESSES),
                format!("configmap {}", names::NODE_ADDRESSES),
                |_| (),
                bell.clone(),
            ),
            lookups,
            pods: Pods::new(client.clone(), bell),
            name: args.forwarder.clone(),
            publisher,
            publishing,
            told_tx,
            heard_tx,
            readiness_tx,
            meters,
            started: Instant::now(),
            plan: None,
            in_effect: None,
            retry_at: None,
            nodes: None,
            nodes_problem: None,
            sighting: peers::Sighting::default(),
            terminating: false,
        }
    }

    /// One look at everything, and what follows from it.
    pub async fn pass(&mut self) {
        self.carry_out_object().await;
        self.see_nodes();
        self.see_pods();
        self.tell();
    }

    /// Hands the object's wishes to the data plane, if they changed.
    async fn carry_out_object(&mut self) {
        let Some(objects) = self.object.objects() else {
            return;
        };
        let object = objects.into_iter().next();
        let heard = object
            .as_ref()
            .map(|o| (self.name.clone(), self.own_entry(o)));
        send_if_changed(&self.heard_tx, heard.into_iter().collect());
        let generation = object.as_ref().and_then(|o| o.metadata.generation);
        let plan = object
            .map(|o| build::plan(&o.spec, self.http_port))
            .unwrap_or_default();
        if self.plan.as_ref() != Some(&plan) {
            for problem in &plan.problems {
                warn!(
                    generation,
                    problem, "an entry of the Forwarder object is left out"
                );
            }
        }
        self.put_into_effect(&plan.config, generation).await;
        let namespaces: BTreeSet<_> = plan
            .sources
            .iter()
            .map(|s| s.service.namespace.as_str())
            .collect();
        self.pods.follow(&namespaces);
        self.lookups.follow(&plan.sources);
        self.plan = Some(plan);
    }

    fn own_entry(&self, object: &ForwarderObject) -> Option<ReplicaStatus> {
        let replicas = &object.status.as_ref()?.replicas;
        replicas
            .iter()
            .find(|r| r.pod_name == self.pod_name)
            .cloned()
    }

    async fn put_into_effect(&mut self, config: &ForwarderConfig, generation: Option<i64>) {
        if self.retry_at.is_some_and(|at| at > Instant::now()) {
            return;
        }
        if let Some((in_effect, of)) = &mut self.in_effect
            && in_effect == config
        {
            *of = generation;
            return;
        }
        match self.plane.apply(config.clone()).await {
            Ok(()) => {
                info!(
                    generation,
                    egress = config.egress.len(),
                    ingress = config.ingress.len(),
                    gateways = config.gateways.len(),
                    "configuration in effect"
                );
                self.in_effect = Some((config.clone(), generation));
                self.retry_at = None;
            }
            Err(error) => {
                error!(
                    generation,
                    error = causes(&error),
                    "configuration not in effect, trying again"
                );
                self.meters.apply_failures.inc();
                self.retry_at = Some(Instant::now() + APPLY_RETRY);
            }
        }
    }

    /// Takes over the nodes' addresses. What was known stays until something better is.
    fn see_nodes(&mut self) {
        let Some(objects) = self.node_addresses.objects() else {
            return;
        };
        let parsed = objects
            .first()
            .ok_or_else(|| {
                format!(
                    "configmap {} is missing: the operator makes it",
                    names::NODE_ADDRESSES
                )
            })
            .and_then(|map| {
                node_addresses::from_config_map(map.data.as_ref().unwrap_or(&Default::default()))
            });
        match parsed {
            Ok(addresses) => {
                self.nodes_problem = None;
                self.nodes = Some(addresses.into_iter().filter_map(ipv4).collect());
            }
            Err(problem) => {
                if self.nodes_problem.as_ref() != Some(&problem) {
                    warn!(error = problem, "cannot learn the addresses of the nodes");
                }
                self.nodes_problem = Some(problem);
            }
        }
    }

    /// Tells the data plane who may connect, if that changed. Nobody may before the nodes are
    /// known: a pod in the host network would lend its node's address to all others.
    fn see_pods(&mut self) {
        let (Some(plan), Some(nodes)) = (&self.plan, &self.nodes) else {
            return;
        };
        let slices = self.pods.slices();
        let found = self.lookups.found();
        let slices = slices.iter().map(Arc::as_ref);
        let mut sighting = peers::sighting(slices, &found, &plan.sources, nodes);
        sighting.peers.coming = self.lookups.coming();
        let looked_up = &sighting.peers.looked_up;
        let known = found.into_keys().filter(|a| !looked_up.contains_key(a));
        self.lookups.forget(known);
        if sighting == self.sighting {
            return;
        }
        for (peer, pods) in &sighting.disputed {
            if self.sighting.disputed.get(peer) != Some(pods) {
                warn!(%peer, ?pods, "several pods claim one address, it is refused until one is left");
            }
        }
        self.plane.set_peers(sighting.peers.clone());
        self.meters
            .set_pods(sighting.peers.pods.len(), sighting.disputed.len());
        self.sighting = sighting;
    }

    /// Publishes status, readiness and metrics.
    fn tell(&mut self) {
        let report = self.plane.report().borrow().clone();
        self.meters.set_tunnels(&report);
        let generation = self
            .in_effect
            .as_ref()
            .and_then(|(_, generation)| *generation);
        let status = replica_status(&self.pod_name, &self.public_key, generation, &report);
        send_if_changed(&self.told_tx, Told::from([(self.name.clone(), status)]));

        let source_ips = self
            .plan
            .iter()
            .flat_map(|p| &p.sources)
            .map(|s| s.source_ip);
        let was_ready = *self.readiness_tx.borrow() == Readiness::Ready;
        let readiness = if self.terminating {
            Readiness::NotReady("terminating".to_owned())
        } else if was_ready {
            Readiness::Ready
        } else {
            readiness::first_readiness(&Reached {
                applied: self.in_effect.is_some(),
                unseen_namespaces: self.pods.unseen(),
                nodes_known: self.nodes.is_some(),
                source_ips: source_ips.collect(),
                report: &report,
                waited: self.started.elapsed(),
            })
        };
        self.meters.set_ready(&readiness);
        if send_if_changed(&self.readiness_tx, readiness.clone()) {
            info!(%readiness, "readiness changed");
        }
    }

    /// Ends all connections: lets them finish for at most `within`.
    pub async fn drain(&self, within: Duration) {
        self.plane.drain(within).await;
    }

    /// Takes the replica's entry out of the status. The operator does so too, a little later.
    pub async fn withdraw(self) {
        self.publishing.abort();
        match tokio::time::timeout(
            WITHDRAW_DEADLINE,
            self.publisher
                .write(&self.name, &ForwarderStatus::default()),
        )
        .await
        {
            Ok(Ok(())) => info!("withdrew the key from the Forwarder's status"),
            Ok(Err(error)) => warn!(
                error,
                "the key stays in the status until the operator removes it"
            ),
            Err(_) => warn!(
                "the key stays in the status until the operator removes it: no answer of the API server"
            ),
        }
    }

    /// When to look again though nothing rang.
    pub fn wake_at(&self) -> Instant {
        let patience = self.started + readiness::PATIENCE;
        let patience = (patience > Instant::now()).then_some(patience);
        let day = Instant::now() + Duration::from_secs(86_400);
        self.retry_at
            .into_iter()
            .chain(patience)
            .min()
            .unwrap_or(day)
    }
}

fn ipv4(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

/// The status that a replica applies: its own entry and no other.
fn only_replica(replica: &ReplicaStatus) -> ForwarderStatus {
    ForwarderStatus {
        replicas: vec![replica.clone()],
    }
}

/// Selects one object by name: the only list and watch that the service account may do.
fn only(name: &str) -> watcher::Config {
    watcher::Config::default().fields(&format!("metadata.name={name}"))
}
