//! The end of a tunnel that is dialled: a gateway. Admits by key, and lets an admitted forwarder do
//! one thing: open the subsystem that carries flows.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use russh::server::{
    self, Auth, ChannelOpenHandle, Msg, PublicKeyOffer, Session, VerifiedPublicKey,
};
use russh::{Channel, ChannelId, Pty};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tracing::{debug, info};

use super::SshError;
use super::carrier::{Carrier, spawn_carrier};
use super::inlet::Inlet;
use super::settings::{HANDSHAKE_TIMEOUT, SUBSYSTEM, USER_TIMEOUT};
use crate::identity::PublicKey;
use crate::tunnel::backlog::Backlog;
use crate::tunnel::link::{Incoming, Link, Side};
use crate::tunnel::socket::{SocketCutter, SshSocket};
use crate::tunnel::window::Budget;

/// Who is admitted, and what becomes of those who are. Asked at each connection, so that the
/// answer may change.
pub(crate) trait Admission: Send + Sync + 'static {
    /// Name of the forwarder that a key belongs to.
    fn forwarder(&self, key: &PublicKey) -> Option<String>;

    /// Takes over a tunnel that is up. `false` if its key has been withdrawn meanwhile, or if no
    /// more tunnels are taken.
    fn admit(self: Arc<Self>, tunnel: AdmittedTunnel) -> bool;

    /// Takes a flow that a forwarder asks for; must not block.
    fn on_incoming(self: Arc<Self>, who: &Arc<Admitted>, incoming: Incoming);
}

/// Who is at the other end of a tunnel.
#[derive(Clone, Debug)]
pub(crate) struct Admitted {
    pub(crate) forwarder: Arc<str>,
    pub(crate) key: PublicKey,
    pub(crate) address: SocketAddr,
}

/// A tunnel of an admitted forwarder.
#[derive(Clone, Debug)]
pub(crate) struct AdmittedTunnel {
    pub(crate) who: Arc<Admitted>,
    pub(crate) link: Link,
}

/// Serves one connection until it ends. `permit` is given back when it has become a tunnel: one
/// that is silent, slow or unknown has no more than [`HANDSHAKE_TIMEOUT`].
pub(super) async fn serve<A: Admission, P>(
    config: Arc<server::Config>,
    stream: TcpStream,
    address: SocketAddr,
    admission: Arc<A>,
    budget: Arc<Budget>,
    permit: P,
) -> Result<(), SshError> {
    let backlog = Arc::new(Backlog::default());
    let socket =
        SshSocket::new(stream, Arc::clone(&backlog), USER_TIMEOUT).map_err(russh::Error::from)?;
    let cutter = socket.cutter();
    let (established_tx, established) = oneshot::channel();
    let handler = Handler {
        admission,
        budget,
        backlog,
        cutter: cutter.clone(),
        address,
        established_tx: Some(established_tx),
        admitted: None,
        channel: None,
        packet_len: 0,
        link: None,
    };
    let session = async { server::run_stream(config, socket, handler).await?.await };
    let mut session = std::pin::pin!(session);
    tokio::select! {
        ended = &mut session => return ended,
        Ok(()) = established => {}
        () = tokio::time::sleep(HANDSHAKE_TIMEOUT) => {
            cutter.cut();
            return Err(russh::Error::ConnectionTimeout.into());
        }
    }
    drop(permit);
    session.await
}

struct Handler<A: Admission> {
    admission: Arc<A>,
    budget: Arc<Budget>,
    backlog: Arc<Backlog>,
    cutter: SocketCutter,
    address: SocketAddr,
    /// Fires when this has become a tunnel.
    established_tx: Option<oneshot::Sender<()>>,
    admitted: Option<Arc<Admitted>>,
    channel: Option<(ChannelId, Inlet)>,
    /// Bytes of an ssh packet that the forwarder takes.
    packet_len: usize,
    link: Option<Link>,
}

impl<A: Admission> Handler<A> {
    /// Makes a tunnel of the channel, once.
    fn begin(&mut self, channel: ChannelId, handle: server::Handle) -> bool {
        let Some(who) = self.admitted.clone() else {
            return false;
        };
        if self.link.is_some() || self.channel.as_ref().is_none_or(|(id, _)| *id != channel) {
            return false;
        }
        let on_incoming = {
            let (admission, who) = (Arc::clone(&self.admission), who.clone());
            Box::new(move |incoming| Arc::clone(&admission).on_incoming(&who, incoming))
        };
        let link = Link::new(Side::Listener, Arc::clone(&self.budget), on_incoming);
        tokio::spawn({
            let (link, cutter) = (link.clone(), self.cutter.clone());
            async move {
                link.closed().await;
                cutter.cut();
            }
        });
        link.set_packet_len(self.packet_len);
        self.link = Some(link.clone());
        let carrier = ServerCarrier {
            handle,
            id: channel,
        };
        spawn_carrier(
            link.clone(),
            Arc::clone(&self.backlog),
            self.cutter.clone(),
            carrier,
        );
        if !Arc::clone(&self.admission).admit(AdmittedTunnel {
            who,
            link: link.clone(),
        }) {
            link.close("the key has been withdrawn, or the gateway is going away");
            return false;
        }
        if let Some(established_tx) = self.established_tx.take() {
            // Nobody waits if the connection is being cut.
            let _ = established_tx.send(());
        }
        true
    }

    fn key(&self, user_key: &russh::keys::PublicKey) -> Option<(PublicKey, String)> {
        let key = PublicKey::from(user_key);
        let forwarder = self.admission.forwarder(&key)?;
        Some((key, forwarder))
    }
}

impl<A: Admission> Drop for Handler<A> {
    fn drop(&mut self) {
        if let Some(link) = &self.link {
            link.close("the ssh connection ended");
        }
    }
}

struct ServerCarrier {
    handle: server::Handle,
    id: ChannelId,
}

impl Carrier for ServerCarrier {
    async fn carry(&self, bytes: Bytes) -> bool {
        self.handle.data(self.id, bytes).await.is_ok()
    }
}

impl<A: Admission> server::Handler for Handler<A> {
    type Error = SshError;

    /// Spares a signature. Admits nobody: whoever offers a key need not have it.
    async fn auth_publickey_offered(
        &mut self,
        _user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, SshError> {
        Ok(match self.key(offer.public_key) {
            Some(_) => Auth::Accept,
            None => {
                debug!(peer = %self.address, "unknown ssh key");
                Auth::reject()
            }
        })
    }

    async fn auth_publickey(
        &mut self,
        _user: &str,
        verified: VerifiedPublicKey<'_>,
    ) -> Result<Auth, SshError> {
        let Some((key, forwarder)) = self.key(verified.public_key) else {
            return Ok(Auth::reject());
        };
        self.admitted = Some(Arc::new(Admitted {
            forwarder: forwarder.into(),
            key,
            address: self.address,
        }));
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), SshError> {
        let id = channel.id();
        // Dropping the reply refuses a second one.
        if self.admitted.is_some() && self.channel.is_none() {
            let (reading, writing) = channel.split();
            self.packet_len = writing.writable_packet_size().await;
            self.channel = Some((id, Inlet(reading)));
            reply.accept().await;
        }
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), SshError> {
        if name == SUBSYSTEM && self.begin(channel, session.handle()) {
            session.channel_success(channel)?;
        } else {
            info!(peer = %self.address, subsystem = ?name, "subsystem refused");
            session.channel_failure(channel)?;
        }
        Ok(())
    }

    async fn data(
        &mut self,
        channel: ChannelId,
        bytes: &[u8],
        _session: &mut Session,
    ) -> Result<(), SshError> {
        match (&self.link, &mut self.channel) {
            (Some(link), Some((id, inlet))) if *id == channel => {
                link.on_bytes(&inlet.owned(bytes)).inspect_err(|error| {
                    link.close(error.to_string());
                })?;
                Ok(())
            }
            _ => Err(SshError::ChannelClosed),
        }
    }

    async fn window_adjusted(
        &mut self,
        _: ChannelId,
        _: u32,
        _: &mut Session,
    ) -> Result<(), SshError> {
        if let Some((_, inlet)) = &mut self.channel {
            inlet.forget();
        }
        Ok(())
    }

    async fn channel_eof(&mut self, _: ChannelId, _: &mut Session) -> Result<(), SshError> {
        Err(SshError::ChannelClosed)
    }

    async fn channel_close(&mut self, _: ChannelId, _: &mut Session) -> Result<(), SshError> {
        Err(SshError::ChannelClosed)
    }

    // What a person with an ssh client may try is answered with no; the library refuses channels
    // of other types and forwards by itself.

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _: &str,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        _: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), SshError> {
        Ok(session.channel_failure(channel)?)
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        _: &str,
        _: &str,
        session: &mut Session,
    ) -> Result<(), SshError> {
        Ok(session.channel_failure(channel)?)
    }

    async fn shell_request(
        &mut self,
        channel: ChannelId,
        session: &mut Session,
    ) -> Result<(), SshError> {
        Ok(session.channel_failure(channel)?)
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        _: &[u8],
        session: &mut Session,
    ) -> Result<(), SshError> {
        Ok(session.channel_failure(channel)?)
    }
}
