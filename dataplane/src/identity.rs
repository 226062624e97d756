//! ssh keys: how the two ends of a tunnel know each other. Ed25519 only.

use std::fmt;
use std::str::FromStr;

use russh::keys::{Algorithm, PublicKeyBase64, ssh_key};

/// Public half of an ssh key, compared by algorithm and key alone: a comment does not count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(String);

/// A text that is not an ed25519 public key.
#[derive(Debug, thiserror::Error)]
#[error("parse public key {text:?}: {reason}: it must read `ssh-ed25519 AAAA…`")]
pub struct PublicKeyError {
    text: String,
    reason: String,
}

impl FromStr for PublicKey {
    type Err = PublicKeyError;

    /// Reads the OpenSSH form, `ssh-ed25519 AAAA… [comment]`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |reason: String| PublicKeyError {
            text: text.chars().take(100).collect(),
            reason,
        };
        let key =
            ssh_key::PublicKey::from_openssh(text.trim()).map_err(|e| refuse(e.to_string()))?;
        if key.algorithm() != Algorithm::Ed25519 {
            return Err(refuse(format!("its algorithm is {}", key.algorithm())));
        }
        Ok(Self::from(&key))
    }
}

impl From<&ssh_key::PublicKey> for PublicKey {
    fn from(key: &ssh_key::PublicKey) -> Self {
        Self(format!("{} {}", key.algorithm(), key.public_key_base64()))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
