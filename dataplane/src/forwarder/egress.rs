//! From a pod to the external server.

use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::debug;

use super::flows::ForwarderFlow;
use super::hold::{HOLD, deadline};
use super::recent::Opening;
use super::{Pod, Shared};
use crate::relay::relay;
use crate::relay::socket::ProxiedSocket;
use crate::relay::table::Entry;
use crate::tunnel::flow::FlowStream;
use crate::tunnel::link::Link;
use crate::tunnel::reason::Reason;
use crate::tunnel::request::OpenRequest;

/// Opens a flow for a connection of a pod, and has it carried to its end where the tunnel is.
pub(super) async fn serve(shared: Arc<Shared>, stream: TcpStream, peer: SocketAddrV4, listen: u16) {
    let transferred = Arc::new(shared.counters.transferred());
    let opening = shared.recent.begin(peer, listen, Arc::clone(&transferred));
    match shared.open(peer, listen, &opening).await {
        Ok((worker, flow, entry)) => {
            worker.spawn(async move {
                let _entry = entry;
                let served = match ProxiedSocket::accepted(stream) {
                    Ok(socket) => relay(socket, flow, &transferred).await,
                    Err(reason) => Err(reason),
                };
                shared.ended(&opening, served);
            });
        }
        Err(reason) => shared.ended(&opening, Err(reason)),
    }
}

impl Shared {
    fn ended(&self, opening: &Opening, served: Result<(), Reason>) {
        if let Err(reason) = served {
            opening.broke(reason);
            debug!(?opening, %reason, "egress flow broken");
        }
        self.counters.ended(served);
    }

    /// Opens a flow for a pod's connection, for as long as the entry lives.
    async fn open(
        &self,
        peer: SocketAddrV4,
        listen: u16,
        opening: &Opening,
    ) -> Result<(Handle, FlowStream, Entry<ForwarderFlow>), Reason> {
        let pod = self.pod(*peer.ip()).await?;
        opening.goes_on_as(pod.source_ip);
        let (gateway, worker, destination, flow) = loop {
            let (gateway, link) = self.tunnel(pod.source_ip).await?;
            let destination = self.config.load().egress.get(&listen).copied();
            let destination = destination.ok_or(Reason::Revoked)?;
            let request = OpenRequest::Egress {
                source_ip: pod.source_ip,
                destination,
                pod: pod.name.clone(),
            };
            match link.open(&request) {
                // It went away in this moment; another may be left.
                Err(Reason::Draining) => {}
                opened => break (gateway, link.worker().clone(), destination, opened?),
            }
        };
        let what = ForwarderFlow::Egress {
            listen,
            destination,
            pod: *peer.ip(),
            uid: pod.uid,
            source_ip: pod.source_ip,
            gateway,
        };
        let entry = self.enter(what, &flow)?;
        Ok((worker, flow, entry))
    }

    /// The pod behind an address, waited for a while if nobody is known there.
    async fn pod(&self, address: Ipv4Addr) -> Result<Pod, Reason> {
        let arrived = Instant::now();
        let mut seen_rx = self.seen_tx.subscribe();
        let mut place = None;
        loop {
            let deadline = {
                let seen = seen_rx.borrow_and_update();
                if seen.peers.nodes.contains(&address) {
                    drop(seen);
                    self.report_refused_node(address);
                    return Err(Reason::NodePeer);
                }
                if let Some(pod) = seen.peers.pod(address, arrived.into_std()) {
                    return Ok(pod.clone());
                }
                deadline(arrived, seen.pods_came)
            };
            if place.is_none() {
                place = Some(self.strangers.take(address).ok_or(Reason::UnknownPeer)?);
            }
            timeout_at(deadline, seen_rx.changed())
                .await
                .map_err(|_| Reason::UnknownPeer)?
                .map_err(|_| Reason::Draining)?;
        }
    }

    /// A tunnel to the gateway that holds a source IP, waited for a while if none is up.
    pub(super) async fn tunnel(&self, source_ip: Ipv4Addr) -> Result<(SocketAddrV4, Link), Reason> {
        let endpoint = self.config.load().gateways.get(&source_ip).cloned();
        let endpoint = endpoint.ok_or(Reason::NoTunnel)?;
        let (link, mut state_rx) = {
            let pools = self.pools.lock();
            let pool = &pools.get(&endpoint).ok_or(Reason::NoTunnel)?.pool;
            // Subscribed before looking, so that no change is missed.
            let state_rx = pool.state();
            (pool.least_loaded(), state_rx)
        };
        if let Some(link) = link {
            return Ok((endpoint.address, link));
        }
        let _waiting = self.waiting.try_acquire().map_err(|_| Reason::NoTunnel)?;
        let waited = timeout(HOLD, state_rx.wait_for(|state| state.up > 0)).await;
        waited
            .map_err(|_| Reason::NoTunnel)?
            .map_err(|_| Reason::NoTunnel)?;
        let pools = self.pools.lock();
        let link = pools
            .get(&endpoint)
            .and_then(|used| used.pool.least_loaded());
        Ok((endpoint.address, link.ok_or(Reason::NoTunnel)?))
    }
}
