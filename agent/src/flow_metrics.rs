//! Metrics of the flows that a data plane carried: read when somebody asks for them.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::Registry;

/// Counts since the start of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowCounts {
    /// Flows that ended: one entry for each way in which they can, by its label.
    pub ended: Vec<(&'static str, u64)>,
    /// Bytes read from proxied connections.
    pub read_bytes: u64,
    /// Bytes written to proxied connections.
    pub written_bytes: u64,
}

/// Where counts come from.
struct Source<F>(F);

impl<F> fmt::Debug for Source<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

/// Adds `flows`, `read_bytes` and `written_bytes` to a registry, which read `counts` each time.
pub fn register(registry: &mut Registry, counts: impl Fn() -> FlowCounts + Send + Sync + 'static) {
    registry.register_collector(Box::new(Source(counts)));
}

impl<F: Fn() -> FlowCounts + Send + Sync + 'static> Collector for Source<F> {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let counts = (self.0)();
        let kind = ConstCounter::new(0_u64).metric_type();
        let help = "Flows that ended, by how: completed, or why not";
        let mut flows = encoder.encode_descriptor("flows", help, None, kind)?;
        for (result, count) in counts.ended {
            let labels = [("result", result)];
            ConstCounter::new(count).encode(flows.encode_family(&labels)?)?;
        }
        for (name, help, bytes) in [
            (
                "read_bytes",
                "Bytes read from proxied connections",
                counts.read_bytes,
            ),
            (
                "written_bytes",
                "Bytes written to proxied connections",
                counts.written_bytes,
            ),
        ] {
            let counter = ConstCounter::new(bytes);
            let encoder = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
            counter.encode(encoder)?;
        }
        Ok(())
    }
}

/// A registry as the text that Prometheus reads.
pub fn rendered(registry: &Registry) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = encode(&mut text, registry);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_when_asked_for() {
        let mut registry = Registry::with_prefix("extconn_test");
        register(&mut registry, || FlowCounts {
            ended: vec![("completed", 3), ("refused", 0)],
            read_bytes: 10,
            written_bytes: 20,
        });
        let text = rendered(&registry);
        for line in [
            "# TYPE extconn_test_flows counter",
            "extconn_test_flows_total{result=\"completed\"} 3",
            "extconn_test_flows_total{result=\"refused\"} 0",
            "extconn_test_read_bytes_total 10",
            "extconn_test_written_bytes_total 20",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }
}
