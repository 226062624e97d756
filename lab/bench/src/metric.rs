//! Pure: what is measured, in which unit, and where more is better.

use serde::Serialize;

/// A figure that a contender has. Values are in the unit's base: bits, seconds, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each has its title in words below")]
pub enum Metric {
    BulkOneToServer,
    BulkOneToClient,
    BulkManyToServer,
    BulkManyToClient,
    FairnessToServer,
    FairnessToClient,
    ProcessorToServer,
    ProcessorToClient,
    IngressToServer,
    IngressToClient,
    IngressShort,
    IngressShortFailed,
    DuplexRate,
    DuplexGap,
    DuplexUnfinished,
    Short32,
    Short64,
    ShortFailed,
    LatencyMedian,
    LatencyHigh,
    LatencyBesideBulk,
    LatencyBesideStuck,
    IdleMemory,
    IdleFailed,
    WanOne,
    WanFour,
    FirstByte,
    LossLow,
    LossHigh,
    Held,
    HeldFailed,
    RulesFromEmpty,
    RulesOneChanged,
    StuckForwarder,
    StuckGateway,
    StuckLeft,
    StuckMessage,
    StuckOpening,
    StuckFailed,
}

/// How a value reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bits of a second.
    Rate,
    /// So many of a second.
    PerSecond,
    /// Seconds.
    Time,
    /// Seconds of a processor for 10⁹ bytes.
    ProcessorTime,
    /// A part of one.
    Share,
    /// Bytes.
    Memory,
    /// A number of things.
    Count,
}

impl Metric {
    /// What it is, for a reader.
    pub fn title(self) -> &'static str {
        match self {
            Metric::BulkOneToServer => "bulk, 1 stream, pod to server",
            Metric::BulkOneToClient => "bulk, 1 stream, server to pod",
            Metric::BulkManyToServer => "bulk, 16 streams, pod to server",
            Metric::BulkManyToClient => "bulk, 16 streams, server to pod",
            Metric::FairnessToServer => "fairness of 16 streams (Jain), pod to server",
            Metric::FairnessToClient => "fairness of 16 streams (Jain), server to pod",
            Metric::ProcessorToServer => "processor per GB, pod to server",
            Metric::ProcessorToClient => "processor per GB, server to pod",
            Metric::IngressToServer => "dialled from outside: bulk, 1 stream, in",
            Metric::IngressToClient => "dialled from outside: bulk, 1 stream, out",
            Metric::IngressShort => "dialled from outside: short connections, 32 at once",
            Metric::IngressShortFailed => "dialled from outside: short connections that failed",
            Metric::DuplexRate => "16 streams both ways, 64 KiB socket buffers",
            Metric::DuplexGap => "longest silence of a stream in it",
            Metric::DuplexUnfinished => "runs of it that did not finish",
            Metric::Short32 => "short connections, 32 at once",
            Metric::Short64 => "short connections, 64 at once",
            Metric::ShortFailed => "short connections that failed",
            Metric::LatencyMedian => "1,000 requests/s, p50",
            Metric::LatencyHigh => "1,000 requests/s, p99",
            Metric::LatencyBesideBulk => "1,000 requests/s beside two bulk flows, p99",
            Metric::LatencyBesideStuck => "1,000 requests/s beside a stuck reader, p99",
            Metric::IdleMemory => "memory of 10,000 idle connections, both ends",
            Metric::IdleFailed => "idle connections that failed",
            Metric::WanOne => "50 ms, 1 Gbit/s: 1 stream",
            Metric::WanFour => "50 ms, 1 Gbit/s: 4 streams",
            Metric::FirstByte => "50 ms: time to the first byte",
            Metric::LossLow => "50 ms, 0.1 % loss: 16 streams",
            Metric::LossHigh => "50 ms, 1 % loss: 16 streams",
            Metric::Held => "connections held at once, one source IP and target",
            Metric::HeldFailed => "held connections that failed",
            Metric::RulesFromEmpty => "10,000 ingress grants from empty to rules in force",
            Metric::RulesOneChanged => "one of 10,000 ingress grants changed",
            Metric::StuckForwarder => "10,000 stuck connections: most memory of the forwarder",
            Metric::StuckGateway => "10,000 stuck connections: most memory of the gateway",
            Metric::StuckLeft => "growth of both ends after they have ended",
            Metric::StuckMessage => "slowest message beside them",
            Metric::StuckOpening => "slowest new connection beside them",
            Metric::StuckFailed => "stuck connections that failed",
        }
    }

    /// How its values read.
    pub fn unit(self) -> Unit {
        match self {
            Metric::BulkOneToServer
            | Metric::BulkOneToClient
            | Metric::BulkManyToServer
            | Metric::BulkManyToClient
            | Metric::IngressToServer
            | Metric::IngressToClient
            | Metric::DuplexRate
            | Metric::WanOne
            | Metric::WanFour
            | Metric::LossLow
            | Metric::LossHigh => Unit::Rate,
            Metric::IngressShort | Metric::Short32 | Metric::Short64 => Unit::PerSecond,
            Metric::DuplexGap
            | Metric::LatencyMedian
            | Metric::LatencyHigh
            | Metric::LatencyBesideBulk
            | Metric::LatencyBesideStuck
            | Metric::FirstByte
            | Metric::RulesFromEmpty
            | Metric::RulesOneChanged
            | Metric::StuckMessage
            | Metric::StuckOpening => Unit::Time,
            Metric::FairnessToServer | Metric::FairnessToClient => Unit::Share,
            Metric::ProcessorToServer | Metric::ProcessorToClient => Unit::ProcessorTime,
            Metric::IdleMemory
            | Metric::StuckForwarder
            | Metric::StuckGateway
            | Metric::StuckLeft => Unit::Memory,
            Metric::IngressShortFailed
            | Metric::DuplexUnfinished
            | Metric::ShortFailed
            | Metric::IdleFailed
            | Metric::Held
            | Metric::HeldFailed
            | Metric::StuckFailed => Unit::Count,
        }
    }
}

impl Unit {
    /// A value with its unit, to three digits.
    pub fn show(self, value: f64) -> String {
        match self {
            Unit::Rate if value >= 1e9 => format!("{} Gbit/s", digits(value / 1e9)),
            Unit::Rate => format!("{} Mbit/s", digits(value / 1e6)),
            Unit::PerSecond => format!("{value:.0}/s"),
            Unit::Time if value.abs() >= 1.0 => format!("{} s", digits(value)),
            Unit::Time if value.abs() >= 1e-3 => format!("{} ms", digits(value * 1e3)),
            Unit::Time => format!("{:.0} µs", value * 1e6),
            Unit::ProcessorTime => format!("{} s/GB", digits(value)),
            Unit::Share => format!("{value:.3}"),
            Unit::Memory => format!("{} MB", digits(value / 1e6)),
            Unit::Count => format!("{value:.0}"),
        }
    }
}

fn digits(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_in_the_unit_that_people_use() {
        assert_eq!(Unit::Rate.show(7.123e9), "7.12 Gbit/s");
        assert_eq!(Unit::Rate.show(18.34e6), "18.3 Mbit/s");
        assert_eq!(Unit::Time.show(0.000_061_4), "61 µs");
        assert_eq!(Unit::Time.show(0.102), "102 ms");
        assert_eq!(Unit::Memory.show(32.04e6), "32.0 MB");
        assert_eq!(Unit::Count.show(60_000.0), "60000");
    }
}
