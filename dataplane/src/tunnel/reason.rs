//! Pure: why a flow was refused or cut, as one byte on the wire and one word in logs and metrics.

use std::fmt;

/// Why a flow was refused or cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Reason {
    /// The destination answered with a reset: nobody listens there.
    Refused = 1,
    /// There is no way to the destination, as the kernel or a router said.
    Unreachable = 2,
    /// The destination did not answer in time.
    TimedOut = 3,
    /// This end was not told to allow it.
    Forbidden = 4,
    /// The source IP is on no interface of the gateway host.
    SourceIpMissing = 5,
    /// No more ports, file descriptors, memory or flows.
    Exhausted = 6,
    /// The peer of a proxied connection reset it.
    PeerReset = 7,
    /// It was allowed and is no more: a pod left, an object changed, a key was withdrawn.
    Revoked = 8,
    /// This end is going away and waited as long as it was told to.
    Draining = 9,
    /// The tunnel broke. Never on the wire.
    TunnelLost = 10,
    /// There is no tunnel to open it in. Never on the wire.
    NoTunnel = 11,
    /// The peer is no listed pod. Never on the wire.
    UnknownPeer = 12,
    /// The peer is a node, behind whose address pods cannot be told apart. Never on the wire.
    NodePeer = 13,
    /// Anything else; the log of the end that gave up says what.
    Failed = 14,
}

impl Reason {
    /// Every reason, in the order of the wire.
    pub const ALL: [Self; 14] = [
        Self::Refused,
        Self::Unreachable,
        Self::TimedOut,
        Self::Forbidden,
        Self::SourceIpMissing,
        Self::Exhausted,
        Self::PeerReset,
        Self::Revoked,
        Self::Draining,
        Self::TunnelLost,
        Self::NoTunnel,
        Self::UnknownPeer,
        Self::NodePeer,
        Self::Failed,
    ];

    /// The reason behind a byte of the wire; one that a later version may have added reads as
    /// [`Reason::Failed`].
    pub fn from_wire(byte: u8) -> Self {
        Self::ALL
            .into_iter()
            .find(|reason| *reason as u8 == byte)
            .unwrap_or(Self::Failed)
    }

    /// One lower-case word with underscores: the value of metric labels.
    pub fn label(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Forbidden => "forbidden",
            Self::SourceIpMissing => "source_ip_missing",
            Self::Exhausted => "exhausted",
            Self::PeerReset => "peer_reset",
            Self::Revoked => "revoked",
            Self::Draining => "draining",
            Self::TunnelLost => "tunnel_lost",
            Self::NoTunnel => "no_tunnel",
            Self::UnknownPeer => "unknown_peer",
            Self::NodePeer => "node_peer",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "connection refused",
            Self::Unreachable => "destination unreachable",
            Self::TimedOut => "timed out",
            Self::Forbidden => "not allowed",
            Self::SourceIpMissing => "source IP is on no interface of the gateway host",
            Self::Exhausted => "out of ports, files or memory",
            Self::PeerReset => "reset by peer",
            Self::Revoked => "no longer allowed",
            Self::Draining => "shutting down",
            Self::TunnelLost => "tunnel lost",
            Self::NoTunnel => "no tunnel",
            Self::UnknownPeer => "not a listed pod",
            Self::NodePeer => "a node's address",
            Self::Failed => "failed",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_survives_the_wire() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_wire(reason as u8), reason);
        }
        assert_eq!(Reason::from_wire(0), Reason::Failed);
        assert_eq!(Reason::from_wire(255), Reason::Failed);
    }
}
