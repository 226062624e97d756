//! Metrics of the forwarder agent; `docs/forwarder.md` lists them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use extconn_agent::flow_metrics::{self, FlowCounts};
use extconn_agent::probes::{Metrics, Readiness};
use extconn_dataplane::forwarder::{Forwarder, ForwarderReport, TunnelCounts, TunnelState};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What is counted.
#[derive(Debug, Default)]
pub struct Meters {
    ready: Gauge,
    pods: Gauge,
    disputed: Gauge,
    tunnels: Family<SourceIp, Gauge>,
    open_flows: Gauge,
    lookups: Family<LookupResult, Counter<u64, AtomicU64>>,
    /// Configurations that could not be put into effect.
    pub apply_failures: Counter<u64, AtomicU64>,
}

/// What came of asking whose an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// A pod of a listed Service.
    Found,
    /// Nobody who may connect, or it is not certain.
    Nobody,
    /// There was no answer.
    Failed,
}

impl Lookup {
    const ALL: [Self; 3] = [Self::Found, Self::Nobody, Self::Failed];

    fn label(self) -> LookupResult {
        let result = match self {
            Self::Found => "found",
            Self::Nobody => "nobody",
            Self::Failed => "failed",
        };
        LookupResult { result }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LookupResult {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceIp {
    source_ip: String,
}

impl Meters {
    /// The meters, and what renders them together with those of the data plane.
    pub fn registered(plane: &Arc<Forwarder>) -> (Arc<Self>, Metrics) {
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
        for result in Lookup::ALL {
            drop(meters.lookups.get_or_create(&result.label()));
        }
        let mut registry = Registry::with_prefix("extconn_forwarder");
        registry.register(
            "ready",
            "1 if connections may be sent here",
            meters.ready.clone(),
        );
        registry.register("pods", "Pods that may connect", meters.pods.clone());
        registry.register(
            "disputed_addresses",
            "Addresses that several pods claim and that are refused",
            meters.disputed.clone(),
        );
        registry.register(
            "lookups",
            "Questions to the API server whose an address is",
            meters.lookups.clone(),
        );
        registry.register(
            "tunnel_up",
            "1 if flows of this source IP can be opened",
            meters.tunnels.clone(),
        );
        registry.register("open_flows", "Flows alive", meters.open_flows.clone());
        registry.register_collector(Box::new(Tunnels(plane.clone())));
        registry.register(
            "apply_failures",
            "Configurations that could not be put into effect",
            meters.apply_failures.clone(),
        );
        flow_metrics::register(&mut registry, flows);
        let (meters_now, plane) = (meters.clone(), plane.clone());
        let rendered = move || {
            let flows = i64::try_from(plane.flows()).unwrap_or(i64::MAX);
            meters_now.open_flows.set(flows);
            flow_metrics::rendered(&registry)
        };
        (meters, Arc::new(rendered))
    }

    /// Notes whether connections may be sent here.
    pub fn set_ready(&self, readiness: &Readiness) {
        self.ready.set(i64::from(*readiness == Readiness::Ready));
    }

    /// Notes how many pods may connect and how many addresses are in doubt.
    pub fn set_pods(&self, pods: usize, disputed: usize) {
        self.pods.set(i64::try_from(pods).unwrap_or(i64::MAX));
        self.disputed
            .set(i64::try_from(disputed).unwrap_or(i64::MAX));
    }

    /// Counts a question whose an address is.
    pub fn looked_up(&self, result: Lookup) {
        self.lookups.get_or_create(&result.label()).inc();
    }

    /// Notes the state of the tunnels.
    pub fn set_tunnels(&self, report: &ForwarderReport) {
        self.tunnels.clear();
        for (source_ip, tunnel) in &report.tunnels {
            let source_ip = source_ip.to_string();
            let up = i64::from(tunnel.state == TunnelState::Up);
            self.tunnels.get_or_create(&SourceIp { source_ip }).set(up);
        }
    }
}

/// What the tunnels to each gateway have been through, read when somebody asks.
struct Tunnels(Arc<Forwarder>);

impl fmt::Debug for Tunnels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tunnels")
    }
}

impl Collector for Tunnels {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        type Count = fn(&TunnelCounts) -> u64;
        let kind = ConstCounter::new(0_u64).metric_type();
        let counts = self.0.tunnel_counts();
        let metrics: [(&str, &str, Count); 2] = [
            (
                "tunnel_connects",
                "ssh connections to a gateway that came up; all but the first two are reconnects",
                |counts| counts.connects,
            ),
            (
                "tunnel_failures",
                "Tries to connect to a gateway that failed",
                |counts| counts.failures,
            ),
        ];
        for (name, help, count) in metrics {
            let mut family = encoder.encode_descriptor(name, help, None, kind)?;
            for (gateway, counts) in &counts {
                let labels = [("gateway", gateway.to_string())];
                ConstCounter::new(count(counts)).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
