//! Answers whether a path works, for whoever wants to prove it.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use super::Forwarder;
use super::recent::Opened;
use crate::relay::dial::CONNECT_TIMEOUT;
use crate::tunnel::probe::answered;
use crate::tunnel::reason::Reason;
use crate::tunnel::request::OpenRequest;

/// Time for a tunnel to come back, for the gateway's attempt, and for its answer.
const PROBE_TIMEOUT: Duration = CONNECT_TIMEOUT.saturating_add(Duration::from_secs(3));

impl Forwarder {
    /// Has the gateway of `source_ip` connect to `destination` and close again, and answers the
    /// address and port that it really used; `None` from a gateway that does not tell.
    ///
    /// # Errors
    /// Why it could not: the same reasons that a pod's connection would meet.
    pub async fn probe(
        &self,
        source_ip: Ipv4Addr,
        destination: SocketAddrV4,
    ) -> Result<Option<SocketAddrV4>, Reason> {
        let (_, link) = self.shared.tunnel(source_ip).await?;
        let flow = link.open(&OpenRequest::Probe {
            source_ip,
            destination,
        })?;
        let answer = tokio::time::timeout(PROBE_TIMEOUT, answered(&flow)).await;
        // A gateway that is alive gives up earlier.
        answer.unwrap_or(Err(Reason::TunnelLost))
    }

    /// The connections that a peer has lately opened, in order.
    pub fn opened_by(&self, peer: Ipv4Addr) -> Vec<Opened> {
        self.shared.recent.of(peer)
    }
}
