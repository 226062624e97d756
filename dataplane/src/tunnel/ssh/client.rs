//! The end of a tunnel that dials: a forwarder.

use std::net::SocketAddrV4;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parking_lot::Mutex;
use russh::client::{self, AuthResult, ChannelOpenHandle, Msg, Session};
use russh::keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{Channel, ChannelId, Names};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::SshError;
use super::carrier::{Carrier, spawn_carrier};
use super::inlet::Inlet;
use super::settings::{HANDSHAKE_TIMEOUT, SUBSYSTEM, USER, USER_TIMEOUT, client_config};
use crate::forwarder::GatewayEndpoint;
use crate::identity::{PrivateKey, PublicKey};
use crate::tunnel::backlog::Backlog;
use crate::tunnel::link::Link;
use crate::tunnel::socket::SshSocket;

/// A tunnel that could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    #[error("connect to gateway {address}: {error}")]
    Connect {
        address: SocketAddrV4,
        error: std::io::Error,
    },
    #[error(
        "gateway {address} presented host key {presented}, not the pinned {pinned}: \
         another machine answers there, or the gateway was installed again"
    )]
    HostKey {
        address: SocketAddrV4,
        presented: String,
        pinned: PublicKey,
    },
    #[error(
        "gateway {address} does not admit key {key}: it may not have read this forwarder's status yet"
    )]
    NotAdmitted {
        address: SocketAddrV4,
        key: PublicKey,
    },
    #[error("gateway {address} refused {SUBSYSTEM}: it is of another version")]
    Subsystem { address: SocketAddrV4 },
    #[error("ssh with gateway {address}: {error}")]
    Ssh {
        address: SocketAddrV4,
        error: SshError,
    },
    #[error("ssh with gateway {address} took longer than {} s", HANDSHAKE_TIMEOUT.as_secs())]
    TimedOut { address: SocketAddrV4 },
}

/// Connects, checks the gateway's key, and carries `link` from then on until it is closed. On any
/// failure the link is closed.
pub(crate) async fn dial(
    endpoint: &GatewayEndpoint,
    key: &PrivateKey,
    rekey_after: usize,
    link: &Link,
) -> Result<(), DialError> {
    let guard = CloseUnlessDialled(Some(link));
    let address = endpoint.address;
    let dialled = tokio::time::timeout(
        HANDSHAKE_TIMEOUT,
        dial_patiently(endpoint, key, rekey_after, link),
    )
    .await
    .unwrap_or(Err(DialError::TimedOut { address }));
    match &dialled {
        Ok(()) => guard.dialled(),
        Err(error) => link.close(error.to_string()),
    }
    dialled
}

/// Closes a link, and with it the socket, when dialling is given up half-way.
struct CloseUnlessDialled<'a>(Option<&'a Link>);

impl CloseUnlessDialled<'_> {
    fn dialled(mut self) {
        self.0 = None;
    }
}

impl Drop for CloseUnlessDialled<'_> {
    fn drop(&mut self) {
        if let Some(link) = self.0 {
            link.close("given up while dialling");
        }
    }
}

async fn dial_patiently(
    endpoint: &GatewayEndpoint,
    key: &PrivateKey,
    rekey_after: usize,
    link: &Link,
) -> Result<(), DialError> {
    let address = endpoint.address;
    let connect = |error| DialError::Connect { address, error };
    let stream = TcpStream::connect(address).await.map_err(connect)?;
    let backlog = Arc::new(Backlog::default());
    let socket = SshSocket::new(stream, Arc::clone(&backlog), USER_TIMEOUT).map_err(connect)?;
    let cutter = socket.cutter();
    tokio::spawn({
        let (link, cutter) = (link.clone(), cutter.clone());
        async move {
            link.closed().await;
            cutter.cut();
        }
    });
    let presented = Arc::new(OnceLock::new());
    let inlet = Arc::new(Mutex::new(None));
    let (accepted_tx, accepted) = oneshot::channel();
    let handler = Handler {
        link: link.clone(),
        pinned: endpoint.host_key.clone(),
        presented: Arc::clone(&presented),
        inlet: Arc::clone(&inlet),
        accepted_tx: Some(accepted_tx),
    };
    let mut handle = client::connect_stream(client_config(rekey_after), socket, handler)
        .await
        .map_err(|error| match presented.get() {
            Some(presented) => DialError::HostKey {
                address,
                presented: String::clone(presented),
                pinned: endpoint.host_key.clone(),
            },
            None => DialError::Ssh { address, error },
        })?;
    let ssh = |error: russh::Error| DialError::Ssh {
        address,
        error: error.into(),
    };
    let signer = PrivateKeyWithHashAlg::new(Arc::new(key.for_ssh()), None);
    let answer = handle.authenticate_publickey(USER, signer).await;
    if !matches!(answer.map_err(ssh)?, AuthResult::Success) {
        return Err(DialError::NotAdmitted {
            address,
            key: key.public_key(),
        });
    }
    let channel = handle.channel_open_session().await.map_err(ssh)?;
    let id = channel.id();
    let (reading, writing) = channel.split();
    link.set_packet_len(writing.writable_packet_size().await);
    // There before the gateway may send flows.
    *inlet.lock() = Some(Inlet(reading));
    writing
        .request_subsystem(true, SUBSYSTEM)
        .await
        .map_err(ssh)?;
    if !matches!(accepted.await, Ok(true)) {
        return Err(DialError::Subsystem { address });
    }
    spawn_carrier(link.clone(), backlog, cutter, ClientCarrier { handle, id });
    Ok(())
}

struct ClientCarrier {
    handle: client::Handle<Handler>,
    id: ChannelId,
}

impl Carrier for ClientCarrier {
    async fn carry(&self, bytes: Bytes) -> bool {
        self.handle.data(self.id, bytes).await.is_ok()
    }
}

struct Handler {
    link: Link,
    pinned: PublicKey,
    /// The host key that was refused.
    presented: Arc<OnceLock<String>>,
    /// There as soon as flows are.
    inlet: Arc<Mutex<Option<Inlet>>>,
    /// Whether the gateway takes the subsystem.
    accepted_tx: Option<oneshot::Sender<bool>>,
}

impl Handler {
    fn answered(&mut self, accepted: bool) {
        if let Some(accepted_tx) = self.accepted_tx.take() {
            // Whoever dialled may have given up.
            let _ = accepted_tx.send(accepted);
        }
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        self.link.close("the ssh connection ended");
    }
}

impl client::Handler for Handler {
    type Error = SshError;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, SshError> {
        let presented = match key {
            PublicKeyOrCertificate::PublicKey { key, .. } => PublicKey::from(key).to_string(),
            PublicKeyOrCertificate::Certificate(_) => "a certificate".to_owned(),
        };
        let known = presented == self.pinned.to_string();
        if !known {
            // Called once for each key exchange; the first refusal ends the connection.
            let _ = self.presented.set(presented);
        }
        Ok(known)
    }

    async fn kex_done(
        &mut self,
        _secret: Option<&[u8]>,
        names: &Names,
        _session: &mut Session,
    ) -> Result<(), SshError> {
        if names.strict_kex() {
            Ok(())
        } else {
            Err(SshError::NotStrict)
        }
    }

    async fn data(
        &mut self,
        _channel: ChannelId,
        bytes: &[u8],
        _session: &mut Session,
    ) -> Result<(), SshError> {
        let owned = match self.inlet.lock().as_mut() {
            Some(inlet) => inlet.owned(bytes),
            None => Bytes::copy_from_slice(bytes),
        };
        Ok(self.link.on_bytes(&owned)?)
    }

    async fn window_adjusted(
        &mut self,
        _: ChannelId,
        _: u32,
        _: &mut Session,
    ) -> Result<(), SshError> {
        if let Some(inlet) = self.inlet.lock().as_mut() {
            inlet.forget();
        }
        Ok(())
    }

    async fn channel_success(&mut self, _: ChannelId, _: &mut Session) -> Result<(), SshError> {
        self.answered(true);
        Ok(())
    }

    async fn channel_failure(&mut self, _: ChannelId, _: &mut Session) -> Result<(), SshError> {
        self.answered(false);
        Ok(())
    }

    async fn channel_eof(&mut self, _: ChannelId, _: &mut Session) -> Result<(), SshError> {
        Err(SshError::ChannelClosed)
    }

    async fn channel_close(&mut self, _: ChannelId, _: &mut Session) -> Result<(), SshError> {
        Err(SshError::ChannelClosed)
    }

    async fn disconnected(
        &mut self,
        reason: client::DisconnectReason<SshError>,
    ) -> Result<(), SshError> {
        match reason {
            client::DisconnectReason::ReceivedDisconnect(gateway) => {
                self.link
                    .close(format!("the gateway hung up: {}", gateway.message));
                Ok(())
            }
            client::DisconnectReason::Error(error) => {
                self.link.close(error.to_string());
                Err(error)
            }
        }
    }

    // A gateway opens no channels: whatever it asks for, dropping the handle refuses.

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), SshError> {
        Ok(())
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), SshError> {
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), SshError> {
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), SshError> {
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), SshError> {
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), SshError> {
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), SshError> {
        Ok(())
    }
}
