//! From the external server to a Service.

use std::net::SocketAddrV4;
use std::sync::Arc;

use tracing::debug;

use super::flows::ForwarderFlow;
use super::{GatewayEndpoint, Shared};
use crate::relay::dial::dial_for;
use crate::relay::{Transferred, relay};
use crate::tunnel::link::Incoming;
use crate::tunnel::reason::Reason;
use crate::tunnel::request::OpenRequest;

/// Serves one flow that a gateway asks for to its end.
pub(super) async fn serve(shared: Arc<Shared>, gateway: GatewayEndpoint, incoming: Incoming) {
    let OpenRequest::Ingress { listen, peer } = incoming.request else {
        debug!(gateway = %gateway.address, request = ?incoming.request, "not for a forwarder");
        incoming.refuse(Reason::Forbidden);
        return;
    };
    let transferred = shared.counters.transferred();
    let served = shared
        .ingress(listen, gateway.address, incoming, &transferred)
        .await;
    if let Err(reason) = served {
        debug!(%listen, %peer, %reason, "ingress flow broken");
    }
    shared.counters.ended(served);
}

impl Shared {
    async fn ingress(
        &self,
        listen: SocketAddrV4,
        gateway: SocketAddrV4,
        incoming: Incoming,
        transferred: &Transferred,
    ) -> Result<(), Reason> {
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
        let _entry = match self.enter(what, incoming.stream()) {
            Ok(entry) => entry,
            Err(reason) => {
                incoming.refuse(Reason::Forbidden);
                return Err(reason);
            }
        };
        match dial_for(incoming.stream(), None, service).await {
            Ok(socket) => relay(socket, incoming.accept(), transferred).await,
            Err(reason) => {
                incoming.refuse(reason);
                Err(reason)
            }
        }
    }
}
