//! From the external server to a Service.

use std::net::SocketAddrV4;
use std::sync::Arc;

use tracing::debug;

use super::Shared;
use super::flows::ForwarderFlow;
use crate::relay::dial::dial_for;
use crate::relay::relay;
use crate::relay::socket::ProxiedSocket;
use crate::relay::table::Entry;
use crate::tunnel::flow::FlowStream;
use crate::tunnel::link::Incoming;
use crate::tunnel::reason::Reason;
use crate::tunnel::request::OpenRequest;

/// Serves one flow that a gateway asks for to its end.
pub(super) async fn serve(shared: Arc<Shared>, gateway: SocketAddrV4, incoming: Incoming) {
    let OpenRequest::Ingress { listen, peer } = incoming.request else {
        debug!(%gateway, request = ?incoming.request, "not for a forwarder");
        incoming.refuse(Reason::Forbidden);
        return;
    };
    let transferred = shared.counters.transferred();
    // Boxed: what dialling needs is not kept for as long as the connection lives.
    let served = match Box::pin(shared.reach(listen, gateway, incoming)).await {
        Ok((socket, flow, _entry)) => relay(socket, flow, &transferred).await,
        Err(reason) => Err(reason),
    };
    if let Err(reason) = served {
        debug!(%listen, %peer, %reason, "ingress flow broken");
    }
    shared.counters.ended(served);
}

impl Shared {
    /// Connects to the Service, and says yes or no to the gateway.
    async fn reach(
        &self,
        listen: SocketAddrV4,
        gateway: SocketAddrV4,
        incoming: Incoming,
    ) -> Result<(ProxiedSocket, FlowStream, Entry<ForwarderFlow>), Reason> {
        let service = self.config.load().ingress.get(&listen).copied();
        let Some(service) = service else {
            incoming.refuse(Reason::Forbidden);
            return Err(Reason::Forbidden);
        };
        let what = ForwarderFlow::Ingress {
            listen,
            service,
            gateway,
        };
        // Also finds out whether this gateway holds the source IP that it speaks of.
        let entry = match self.enter(what, incoming.stream()) {
            Ok(entry) => entry,
            Err(reason) => {
                incoming.refuse(Reason::Forbidden);
                return Err(reason);
            }
        };
        match dial_for(incoming.stream(), None, service).await {
            Ok(socket) => Ok((socket, incoming.accept(), entry)),
            Err(reason) => {
                incoming.refuse(reason);
                Err(reason)
            }
        }
    }
}
