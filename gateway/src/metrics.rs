//! Metrics of the gateway agent; `docs/gateway.md` lists them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use extconn_agent::flow_metrics::{self, FlowCounts};
use extconn_agent::probes::Metrics;
use extconn_dataplane::gateway::Gateway;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What is counted.
#[derive(Debug, Default)]
pub struct Meters {
    in_effect: Gauge,
    api_view: Gauge,
    token_end: Gauge,
    tunnels: Family<Name, Gauge>,
    source_ips: Family<SourceIp, Gauge>,
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
        (meters, Arc::new(move || flow_metrics::rendered(&registry)))
    }

    /// Notes whether the configuration is in effect, and whether the API gave it.
    pub fn set_in_effect(&self, in_effect: bool, from_api: bool) {
        self.in_effect.set(i64::from(in_effect));
        self.api_view.set(i64::from(from_api));
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
        let source_ip = source_ip.to_string();
        self.source_ips
            .get_or_create(&SourceIp { source_ip })
            .set(i64::from(present));
    }
}
