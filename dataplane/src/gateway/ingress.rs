//! From the external server to a forwarder. A relay port accepts what NAT rules lead to it: one for
//! each port that is granted, whatever the source IPs are.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;

use super::flows::GatewayFlow;
use super::{IngressGrant, Shared};
use crate::listen::{accept, listen_proxied};
use crate::relay::socket::ProxiedSocket;
use crate::relay::table::Entry;
use crate::relay::{Transferred, relay};
use crate::tunnel::flow::FlowStream;
use crate::tunnel::reason::Reason;
use crate::tunnel::request::OpenRequest;

/// Relay ports that are open, by the port that the external server dials.
#[derive(Debug, Default)]
pub(super) struct Relays(BTreeMap<u16, Relay>);

#[derive(Debug)]
struct Relay {
    port: u16,
    _accepting: AbortOnDropHandle<()>,
}

impl Relays {
    /// Opens the relay ports that are missing. Those that are open stay as they are: rules that
    /// lead to them and connections that came through them do not notice.
    pub(super) fn open(&mut self, dialled: &BTreeSet<u16>, shared: &Arc<Shared>) -> io::Result<()> {
        for port in dialled {
            if !self.0.contains_key(port) {
                self.0.insert(*port, Relay::open(*port, shared)?);
            }
        }
        Ok(())
    }

    /// Closes the relay ports that nobody is led to any more.
    pub(super) fn close_others(&mut self, dialled: &BTreeSet<u16>) {
        self.0.retain(|port, _| dialled.contains(port));
    }

    /// The relay port for each port dialled.
    pub(super) fn ports(&self) -> BTreeMap<u16, u16> {
        let port = |(dialled, relay): (&u16, &Relay)| (*dialled, relay.port);
        self.0.iter().map(port).collect()
    }
}

impl Relay {
    fn open(dialled: u16, shared: &Arc<Shared>) -> io::Result<Self> {
        let listener = listen_proxied(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0))?;
        let port = listener.local_addr()?.port();
        let accepting = tokio::spawn(accept_dialled(Arc::clone(shared), listener, dialled));
        Ok(Self {
            port,
            _accepting: AbortOnDropHandle::new(accepting),
        })
    }
}

async fn accept_dialled(shared: Arc<Shared>, listener: TcpListener, dialled: u16) {
    loop {
        if let Some((stream, SocketAddr::V4(peer))) = accept(&listener).await {
            serve(&shared, stream, peer, dialled);
        }
    }
}

/// Opens a flow for a connection of the external server, and has it carried to its end where the
/// tunnel is.
fn serve(shared: &Arc<Shared>, stream: TcpStream, peer: SocketAddrV4, dialled: u16) {
    let transferred = shared.counters.transferred();
    match shared.lead_in(&stream, peer, dialled) {
        Ok((worker, flow, entry)) => {
            let shared = Arc::clone(shared);
            worker.spawn(async move {
                let _entry = entry;
                let served = match ProxiedSocket::accepted(stream) {
                    Ok(socket) => relay(socket, flow, &transferred).await,
                    Err(reason) => Err(reason),
                };
                shared.led_in(peer, dialled, &transferred, served);
            });
        }
        Err(reason) => shared.led_in(peer, dialled, &transferred, Err(reason)),
    }
}

impl Shared {
    fn led_in(
        &self,
        peer: SocketAddrV4,
        dialled: u16,
        transferred: &Transferred,
        served: Result<(), Reason>,
    ) {
        self.counters.ended(served);
        let (read, written) = transferred.totals();
        debug!(
            target: "extconn::audit",
            %peer,
            port = dialled,
            sent_bytes = written,
            received_bytes = read,
            error = served.err().map(Reason::label),
            "ingress flow"
        );
    }

    /// Opens a flow for a connection of the external server, for as long as the entry lives.
    fn lead_in(
        &self,
        stream: &TcpStream,
        peer: SocketAddrV4,
        dialled: u16,
    ) -> Result<(Handle, FlowStream, Entry<GatewayFlow>), Reason> {
        // The rules change the port and leave the address.
        let Ok(SocketAddr::V4(bound)) = stream.local_addr() else {
            return Err(Reason::PeerReset);
        };
        let grant = IngressGrant {
            listen: SocketAddrV4::new(*bound.ip(), dialled),
            peer: *peer.ip(),
        };
        let forwarder: Arc<str> = self.policy.load().ingress(grant.listen, grant.peer)?.into();
        let request = OpenRequest::Ingress {
            listen: grant.listen,
            peer,
        };
        let (worker, flow) = loop {
            let link = self.tunnels.least_loaded(&forwarder);
            let link = link.ok_or(Reason::NoTunnel)?;
            match link.open(&request) {
                // It went away in this moment; another may be left.
                Err(Reason::Draining) => {}
                opened => break (link.worker().clone(), opened?),
            }
        };
        let entry = self.enter(GatewayFlow::Ingress { forwarder, grant }, &flow)?;
        Ok((worker, flow, entry))
    }
}
