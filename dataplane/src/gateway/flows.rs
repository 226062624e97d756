//! Pure: which flows a gateway's policy allows.

use std::sync::Arc;

use super::config::{EgressGrant, IngressGrant};
use crate::tunnel::policy::GatewayPolicy;

/// A flow that is alive, and what it was allowed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GatewayFlow {
    /// To the external server.
    Egress {
        forwarder: Arc<str>,
        grant: EgressGrant,
    },
    /// From the external server.
    Ingress {
        forwarder: Arc<str>,
        grant: IngressGrant,
    },
}

impl GatewayFlow {
    /// Whether the policy says still what it said when the flow began.
    pub(crate) fn allowed(&self, policy: &GatewayPolicy) -> bool {
        match self {
            Self::Egress { forwarder, grant } => policy.egress(forwarder, grant).is_ok(),
            Self::Ingress { forwarder, grant } => {
                policy.ingress(grant.listen, grant.peer) == Ok(forwarder)
            }
        }
    }
}
