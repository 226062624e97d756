//! Pure: what a sound ExternalService asks for, parsed once. Nothing downstream reads the raw
//! object.

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;
use std::num::NonZeroU16;

use extconn_api::condition::ExternalServiceReason;
use extconn_api::{NamespacedName, Protocol};

use crate::reconcile::observe::AtTarget;

/// Address that the external server sees and dials; held by a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceIp(pub Ipv4Addr);

/// Address of the external server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetIp(pub Ipv4Addr);

/// A port number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortNumber(pub NonZeroU16);

impl PortNumber {
    /// The port of this number, if it is one.
    pub fn new(number: impl TryInto<u16>) -> Option<Self> {
        NonZeroU16::new(number.try_into().ok()?).map(Self)
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0.get()
    }
}

macro_rules! display_as_inner {
    ($($t:ty),*) => {$(
        impl fmt::Display for $t {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}
display_as_inner!(SourceIp, TargetIp, PortNumber);

/// What an ExternalService comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It makes sense and conflicts with no other.
    Accepted(Connection),
    /// It is not carried out.
    Refused(Problem),
}

/// What to set up for an accepted ExternalService.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The external server.
    pub target: TargetIp,
    /// Services that can be sources, in spec order: no Service twice.
    pub sources: Vec<Source>,
    /// Ports of the external server: no `listen` twice.
    pub egress: Vec<EgressPort>,
    /// Ports of the Services: no (source IP, port) twice. Empty if not bidirectional.
    pub ingress: Vec<IngressPort>,
    /// What of this cluster has the target's address, if anything has.
    pub at_target: Option<AtTarget>,
    /// Why some listed Service is not, or not fully, a source.
    pub source_problems: Vec<Problem>,
}

impl Connection {
    /// The source IPs of all sources.
    pub fn source_ips(&self) -> BTreeSet<SourceIp> {
        self.sources.iter().map(|s| s.source_ip).collect()
    }
}

/// A Service whose pods connect as a source IP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The Service.
    pub service: NamespacedName,
    /// As whom its pods connect.
    pub source_ip: SourceIp,
}

/// A port of the external server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EgressPort {
    /// Transport protocol.
    pub protocol: Protocol,
    /// Port that pods dial.
    pub listen: PortNumber,
    /// Port of the external server.
    pub destination: PortNumber,
}

/// A port of a Service that the external server may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IngressPort {
    /// Address that the external server dials.
    pub source_ip: SourceIp,
    /// Transport protocol.
    pub protocol: Protocol,
    /// Port that the external server dials: the port of the Service.
    pub port: PortNumber,
    /// Cluster IP of the Service.
    pub cluster_ip: Ipv4Addr,
}

/// What is wrong, for a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Reason of the condition.
    pub reason: ExternalServiceReason,
    /// A sentence fragment that names object, value and next step.
    pub message: String,
}

impl Problem {
    /// A problem for this reason.
    pub fn new(reason: ExternalServiceReason, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { reason, message }
    }
}
