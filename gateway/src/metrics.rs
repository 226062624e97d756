//! Metrics of the gateway agent; `docs/gateway.md` lists them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use extconn_agent::flow_metrics::{self, FlowCounts};
use extconn_agent::probes::Metrics;
use extconn_dataplane::gateway::{Gateway, GatewayUse, SshState};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::heartbeat::{ApiState, Pulse};

/// What is counted.
#[derive(Debug, Default)]
pub struct Meters {
    in_effect: Gauge,
    api_view: Gauge,
    token_end: Gauge,
    tunnels: Family<Name, Gauge>,
    source_ips: Family<SourceIp, Gauge>,
    api_up: Gauge,
    clock_ahead: Gauge,
    ssh_listening: Gauge,
    relay_ports: Gauge,
    source_ports: Family<SourceIp, Gauge>,
    open_flows: Gauge,
    /// Source IPs that the host file allows.
    allowed: Mutex<BTreeSet<Ipv4Addr>>,
    /// Configurations that could not be put into effect.
    pub apply_failures: Counter<u64, AtomicU64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Name {
    forwarder: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceIp {
    source_ip: String,
}

impl Meters {
    /// The meters, and what renders them together with those of the data plane.
    pub fn registered(plane: &Arc<Gateway>) -> (Arc<Self>, Metrics) {
        let counted = plane.clone();
        let flows = move || {
            let counts = counted.metrics();
            let broken = counts.broken.into_iter();
            let broken = broken.map(|(reason, count)| (reason.label(), count));
            FlowCounts {
                ended: std::iter::once(("completed", counts.completed))
                    .chain(broken)
                    .collect(),
                read_bytes: counts.read_bytes,
                written_bytes: counts.written_bytes,
            }
        };
        let meters = Arc::new(Self::default());
        let mut registry = Registry::with_prefix("extconn_gateway");
        let mut gauge = |name, help, gauge: &Gauge| registry.register(name, help, gauge.clone());
        gauge(
            "in_effect",
            "1 if the configuration is in effect",
            &meters.in_effect,
        );
        gauge(
            "api_view",
            "1 if the objects come from the API, 0 if from disk",
            &meters.api_view,
        );
        gauge(
            "token_end_timestamp_seconds",
            "End of the Kubernetes token, in seconds since 1970; 0 if it is not known",
            &meters.token_end,
        );
        gauge(
            "api_up",
            "1 if the API server answered this gateway's last sign of life",
            &meters.api_up,
        );
        gauge(
            "clock_ahead_seconds",
            "Seconds by which the host's clock is ahead of the API server's; negative if behind",
            &meters.clock_ahead,
        );
        gauge(
            "ssh_listening",
            "1 if the ssh port is open",
            &meters.ssh_listening,
        );
        gauge("open_flows", "Flows alive", &meters.open_flows);
        gauge("relay_ports", "Relay ports open", &meters.relay_ports);
        registry.register(
            "source_ports",
            "Source ports of a source IP in use towards the destination that has most of them",
            meters.source_ports.clone(),
        );
        registry.register(
            "tunnels",
            "Live ssh connections of a forwarder",
            meters.tunnels.clone(),
        );
        registry.register(
            "source_ip_present",
            "1 if the source IP is on an interface of this host",
            meters.source_ips.clone(),
        );
        registry.register(
            "apply_failures",
            "Configurations that could not be put into effect",
            meters.apply_failures.clone(),
        );
        flow_metrics::register(&mut registry, flows);
        let (meters_now, plane) = (meters.clone(), plane.clone());
        let rendered = move || {
            meters_now.set_in_use(&plane.in_use());
            flow_metrics::rendered(&registry)
        };
        (meters, Arc::new(rendered))
    }

    /// Notes whether the configuration is in effect, and whether the API gave it.
    pub fn set_in_effect(&self, in_effect: bool, from_api: bool) {
        self.in_effect.set(i64::from(in_effect));
        self.api_view.set(i64::from(from_api));
    }

    /// Notes what the last sign of life showed, and whether forwarders can connect.
    pub fn set_pulse(&self, pulse: &Pulse, ssh: &SshState) {
        self.api_up.set(i64::from(pulse.api == ApiState::Answers));
        self.clock_ahead.set(pulse.clock_ahead.unwrap_or_default());
        self.ssh_listening
            .set(i64::from(*ssh == SshState::Listening));
    }

    fn set_in_use(&self, in_use: &GatewayUse) {
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.open_flows.set(count(in_use.flows));
        self.relay_ports.set(count(in_use.relay_ports));
        // The zeros too: what is not exported cannot be told from what is not watched.
        for source_ip in self
            .allowed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            let ports = in_use.source_ports.get(source_ip).copied();
            let source_ip = source_ip.to_string();
            self.source_ports
                .get_or_create(&SourceIp { source_ip })
                .set(count(ports.unwrap_or_default()));
        }
    }

    /// Notes the end of the token, in seconds since 1970.
    pub fn set_token_end(&self, end: Option<i64>) {
        self.token_end.set(end.unwrap_or_default());
    }

    /// Notes the live ssh connections of each forwarder.
    pub fn set_tunnels(&self, tunnels: &BTreeMap<String, usize>) {
        self.tunnels.clear();
        for (forwarder, &count) in tunnels {
            let forwarder = forwarder.clone();
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.tunnels.get_or_create(&Name { forwarder }).set(count);
        }
    }

    /// Notes whether a source IP is on an interface.
    pub fn set_source_ip(&self, source_ip: Ipv4Addr, present: bool) {
        let mut allowed = self.allowed.lock().unwrap_or_else(PoisonError::into_inner);
        allowed.insert(source_ip);
        let source_ip = source_ip.to_string();
        self.source_ips
            .get_or_create(&SourceIp { source_ip })
            .set(i64::from(present));
    }
}
