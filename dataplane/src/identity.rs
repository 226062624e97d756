//! ssh keys: how the two ends of a tunnel know each other. Ed25519 only.

use std::fmt;
use std::str::FromStr;

use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PublicKeyBase64, ssh_key};
use zeroize::Zeroizing;

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

/// Private half of an ed25519 ssh key. Its memory is wiped when it is dropped, and no text form of
/// it but [`PrivateKey::to_openssh`] shows the secret.
#[derive(Clone)]
pub struct PrivateKey(ssh_key::PrivateKey);

/// A text that is not an ed25519 private key. Says nothing of what the text is.
#[derive(Debug, thiserror::Error)]
pub enum PrivateKeyError {
    /// Not in OpenSSH's form.
    #[error("parse private key: it must be an unencrypted OpenSSH private key")]
    Malformed(#[source] ssh_key::Error),
    /// A key, but of another kind.
    #[error("parse private key: its algorithm is {0}, make one with `ssh-keygen -t ed25519`")]
    OtherAlgorithm(String),
    /// A key behind a passphrase, which no service can be asked for.
    #[error("parse private key: it is encrypted with a passphrase, store it without one")]
    Encrypted,
}

impl PrivateKey {
    /// Makes a key from the operating system's randomness.
    pub fn generate() -> Self {
        let key = ssh_key::PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519)
            .expect("the library is built with ed25519, whose keys are any 32 bytes");
        Self(key)
    }

    /// Public half.
    pub fn public_key(&self) -> PublicKey {
        PublicKey::from(self.0.public_key())
    }

    /// Reads what [`PrivateKey::to_openssh`] or `ssh-keygen -t ed25519 -N ""` wrote.
    ///
    /// # Errors
    /// The text is no OpenSSH private key, is encrypted, or is of another algorithm.
    pub fn from_openssh(text: &str) -> Result<Self, PrivateKeyError> {
        let key = ssh_key::PrivateKey::from_openssh(text).map_err(PrivateKeyError::Malformed)?;
        if key.is_encrypted() {
            return Err(PrivateKeyError::Encrypted);
        }
        if key.algorithm() != Algorithm::Ed25519 {
            return Err(PrivateKeyError::OtherAlgorithm(key.algorithm().to_string()));
        }
        Ok(Self(key))
    }

    /// OpenSSH's text form, which holds the secret: keep it in a file that only its owner reads.
    ///
    /// # Errors
    /// The library could not encode the key.
    pub fn to_openssh(&self) -> Result<Zeroizing<String>, PrivateKeyError> {
        self.0
            .to_openssh(LineEnding::LF)
            .map_err(PrivateKeyError::Malformed)
    }

    /// The key in the form that the ssh library takes.
    pub(crate) fn for_ssh(&self) -> ssh_key::PrivateKey {
        self.0.clone()
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.public_key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_key_survives_its_text_form() {
        let key = PrivateKey::generate();
        let again = PrivateKey::from_openssh(&key.to_openssh().unwrap()).unwrap();
        assert_eq!(again.public_key(), key.public_key());
    }

    #[test]
    fn debug_shows_the_public_half_only() {
        let key = PrivateKey::generate();
        assert_eq!(
            format!("{key:?}"),
            format!("PrivateKey({})", key.public_key())
        );
    }

    #[test]
    fn a_comment_does_not_make_another_public_key() {
        let key = PrivateKey::generate().public_key();
        assert_eq!(
            format!("{key} someone@host").parse::<PublicKey>().unwrap(),
            key
        );
    }

    #[test]
    fn what_is_no_key_is_refused_with_the_text_named() {
        let error = "ssh-ed25519 nonsense".parse::<PublicKey>().unwrap_err();
        assert!(
            error.to_string().contains("\"ssh-ed25519 nonsense\""),
            "{error}"
        );
        PrivateKey::from_openssh("nonsense").unwrap_err();
    }
}
