//! A login on the external server that the user lends.

use std::collections::BTreeSet;

use crate::cli::ssh::SshArgs;
use crate::failure::Failure;
use crate::host::ssh::{MayAsk, Ssh};

/// The login.
pub(crate) struct TargetLogin {
    /// The connection.
    pub ssh: Ssh,
    /// IPv4 addresses of the host that it is on.
    addresses: BTreeSet<String>,
    /// Whether there are several targets, so that it cannot be on all of them.
    several_targets: bool,
}

/// Prints the addresses of a host, one in each word.
const ADDRESSES: &str = r#"
PATH=$PATH:/usr/sbin:/sbin
if command -v ip >/dev/null; then ip -o -4 address show | awk '{ print $4 }'; else hostname -I; fi
"#;

/// Logs in.
///
/// # Errors
/// What ssh said.
pub(crate) async fn log_in(
    destination: &str,
    args: &SshArgs,
    may_ask: MayAsk,
    several_targets: bool,
) -> Result<TargetLogin, Failure> {
    let ssh = Ssh::log_in(destination, args, may_ask).await?;
    let said = ssh.script(ADDRESSES).await?.stdout;
    let without_length = |word: &str| word.split('/').next().unwrap_or(word).to_owned();
    Ok(TargetLogin {
        ssh,
        addresses: said.split_whitespace().map(without_length).collect(),
        several_targets,
    })
}

impl TargetLogin {
    /// Whether the login is on this target. The only one may be known there by another address.
    pub(crate) fn is_on(&self, target_ip: &str) -> bool {
        !self.several_targets || self.addresses.contains(target_ip)
    }
}
