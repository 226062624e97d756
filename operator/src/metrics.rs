//! Metrics of the operator; `docs/metrics.md` lists them.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use extconn_api::condition::{self, ExternalServiceCondition};
use extconn_api::{ExternalService, Gateway};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::controller::stores::Stores;

/// Upper bounds of reconcile durations, in seconds: from what a look at the stores takes to the
/// longest wait for an answer.
const DURATIONS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0];

/// What is counted.
pub struct Meters {
    leader: Gauge,
    reconciles: Family<Outcome, Counter<u64, AtomicU64>>,
    durations: Histogram,
    watch_errors: Counter<u64, AtomicU64>,
    /// What the cluster holds; known while this process acts.
    stores: OnceLock<Stores>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    result: &'static str,
}

/// How a reconcile ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All was done.
    Well,
    /// It is tried again.
    Badly,
}

impl Default for Meters {
    fn default() -> Self {
        let meters = Self {
            leader: Gauge::default(),
            reconciles: Family::default(),
            durations: Histogram::new(DURATIONS),
            watch_errors: Counter::default(),
            stores: OnceLock::new(),
        };
        // A rate needs a zero to begin at.
        for result in ["success", "error"] {
            drop(meters.reconciles.get_or_create(&Outcome { result }));
        }
        meters
    }
}

impl Meters {
    /// Notes that this process acts from now on, by what these stores hold.
    pub fn leads(&self, stores: Stores) {
        self.leader.set(1);
        // It leads once in its life, and ends when it does not any more.
        let _ = self.stores.set(stores);
    }

    /// Notes a reconcile.
    pub fn reconciled(&self, ended: Ended, took: Duration) {
        let result = match ended {
            Ended::Well => "success",
            Ended::Badly => "error",
        };
        self.reconciles.get_or_create(&Outcome { result }).inc();
        self.durations.observe(took.as_secs_f64());
    }

    /// Notes that a watch failed.
    pub fn watch_failed(&self) {
        self.watch_errors.inc();
    }

    /// What renders the meters, and counts of what the stores hold.
    pub fn renderer(self: &Arc<Self>) -> Arc<dyn Fn() -> String + Send + Sync> {
        let mut registry = Registry::with_prefix("extconn_operator");
        registry.register(
            "leader",
            "1 if this replica acts, 0 if it stands by",
            self.leader.clone(),
        );
        registry.register(
            "reconciles",
            "Reconciles of ExternalServices that ended, by how",
            self.reconciles.clone(),
        );
        registry.register_with_unit(
            "reconcile_duration",
            "Time that a reconcile took",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register(
            "watch_errors",
            "Failures of watches, each of which is tried again",
            self.watch_errors.clone(),
        );
        registry.register_collector(Box::new(Objects(self.clone())));
        Arc::new(move || {
            let mut text = String::new();
            // Writing to a String cannot fail.
            let _ = encode(&mut text, &registry);
            text
        })
    }
}

/// Counts of objects, made when somebody asks.
struct Objects(Arc<Meters>);

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Objects")
    }
}

impl Collector for Objects {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let Some(stores) = self.0.stores.get() else {
            return Ok(());
        };
        let external_services = stores.external_services.state();
        let readiness = external_services.iter().map(|es| readiness(es));
        let kind = ConstGauge::new(0_i64).metric_type();
        let help = "ExternalServices, by the status of their condition Ready";
        let mut family = encoder.encode_descriptor("external_services", help, None, kind)?;
        for (ready, count) in counted(["True", "False", "Unknown"], readiness) {
            let labels = [("ready", ready)];
            ConstGauge::new(count).encode(family.encode_family(&labels)?)?;
        }
        let gateways = stores.gateways.state();
        let states = gateways.iter().map(|gateway| state(gateway));
        let help =
            "Gateways, each of which is a source IP, by whether their host gives signs of life";
        let mut family = encoder.encode_descriptor("gateways", help, None, kind)?;
        for (state, count) in counted(["reporting", "silent", "unknown", "unclaimed"], states) {
            let labels = [("state", state)];
            ConstGauge::new(count).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

fn counted<const N: usize>(
    words: [&'static str; N],
    all: impl Iterator<Item = &'static str>,
) -> [(&'static str, i64); N] {
    let mut counts = words.map(|word| (word, 0));
    for one in all {
        for (word, count) in &mut counts {
            *count += i64::from(*word == one);
        }
    }
    counts
}

fn readiness(external_service: &ExternalService) -> &'static str {
    let status = external_service.status.iter();
    let ready = status
        .filter_map(|s| condition::find(&s.conditions, ExternalServiceCondition::Ready))
        .filter(|c| c.observed_generation == external_service.metadata.generation)
        .map(|c| c.status.as_str())
        .next();
    match ready {
        Some("True") => "True",
        Some("False") => "False",
        _ => "Unknown",
    }
}

fn state(gateway: &Gateway) -> &'static str {
    let Some(status) = gateway.status.as_ref().filter(|s| s.host_name.is_some()) else {
        return "unclaimed";
    };
    let reporting = condition::find(&status.conditions, condition::GATEWAY_REPORTING);
    match reporting.map(|c| c.status.as_str()) {
        Some("True") => "reporting",
        Some("False") => "silent",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_readiness_of_an_older_generation_is_unknown() {
        let external_service = |generation: i64| -> ExternalService {
            let object = json!({
                "apiVersion": "submariner.io/v1alpha1", "kind": "ExternalService",
                "metadata": {"name": "bank", "namespace": "shop", "generation": generation},
                "spec": {"targetIP": "203.0.113.7", "ports": [{"port": 80}],
                         "sources": [{"service": {"name": "web"}, "sourceIP": "192.0.2.10"}]},
                "status": {"conditions": [{
                    "type": "Ready", "status": "True", "reason": "R", "message": "",
                    "observedGeneration": 1, "lastTransitionTime": "2026-11-23T10:00:00Z"}]},
            });
            serde_json::from_value(object).unwrap()
        };
        assert_eq!(readiness(&external_service(1)), "True");
        assert_eq!(readiness(&external_service(2)), "Unknown");
    }

    #[test]
    fn a_gateway_is_silent_only_if_its_host_was_heard_before() {
        let gateway = |status: serde_json::Value| -> Gateway {
            let object = json!({
                "apiVersion": "extconn.submariner.io/v1alpha1", "kind": "Gateway",
                "metadata": {"name": "192.0.2.10"},
                "spec": {"sourceIP": "192.0.2.10", "forwarders": []}, "status": status,
            });
            serde_json::from_value(object).unwrap()
        };
        let reporting = |status: &str| {
            json!({"hostName": "gw1", "conditions": [{
                "type": "Reporting", "status": status, "reason": "R", "message": "",
                "lastTransitionTime": "2026-11-23T10:00:00Z"}]})
        };
        assert_eq!(state(&gateway(json!({}))), "unclaimed");
        assert_eq!(state(&gateway(json!({"hostName": "gw1"}))), "unknown");
        assert_eq!(state(&gateway(reporting("True"))), "reporting");
        assert_eq!(state(&gateway(reporting("False"))), "silent");
    }
}
