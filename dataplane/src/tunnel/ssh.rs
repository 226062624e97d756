//! The ssh connection under a tunnel: how it is made and what of ssh is allowed, which is one
//! channel that carries flows.

mod carrier;
pub(crate) mod client;
mod inlet;
pub(crate) mod listen;
pub(crate) mod server;
pub(crate) mod settings;

use super::link::ProtocolError;

/// What ends an ssh connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SshError {
    #[error(transparent)]
    Ssh(#[from] russh::Error),
    #[error("the other end broke the flow protocol: {0}")]
    Protocol(#[from] ProtocolError),
    #[error("the other end does without strict key exchange")]
    NotStrict,
    #[error("the other end closed the channel of the flows")]
    ChannelClosed,
}
