//! The ssh host key: made at the first start, then kept. Forwarders know the gateway by it.

use std::path::Path;

use anyhow::Context;
use extconn_dataplane::identity::PrivateKey;
use tracing::info;

use crate::state_files;

/// The key in `path`, which is made if there is no such file.
///
/// Errors if there is a file but no key in it: a new key would lock out every forwarder until it
/// has read the Gateway's status again, so that is for a person to decide.
pub fn host_key(path: &Path) -> anyhow::Result<PrivateKey> {
    if let Some(text) = state_files::read(path)? {
        return PrivateKey::from_openssh(&text).with_context(|| {
            format!(
                "use the ssh host key in {}: remove the file to have a new key made",
                path.display()
            )
        });
    }
    let key = PrivateKey::generate();
    let text = key.to_openssh().context("encode a new ssh host key")?;
    state_files::write(path, text.as_bytes())?;
    info!(public_key = %key.public_key(), "made an ssh host key");
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_the_first_start_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ssh_host_ed25519_key");
        let first = host_key(&path).unwrap().public_key();
        assert_eq!(host_key(&path).unwrap().public_key(), first);
    }

    #[test]
    fn a_broken_key_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ssh_host_ed25519_key");
        state_files::write(&path, b"nonsense").unwrap();
        let error = format!("{:#}", host_key(&path).unwrap_err());
        assert!(error.contains("remove the file"), "{error}");
        assert_eq!(
            state_files::read(&path).unwrap().as_deref(),
            Some("nonsense")
        );
    }
}
