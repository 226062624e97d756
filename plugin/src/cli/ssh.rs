//! Pure: flags for ssh to gateway hosts.

use std::path::PathBuf;

use clap::Args;

/// How to run ssh. Whatever else it needs is in the user's own configuration.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct SshArgs {
    /// Configuration file for ssh instead of your own.
    #[arg(long, value_name = "FILE")]
    pub ssh_config: Option<PathBuf>,
    /// Private key for ssh besides those of your configuration and agent.
    #[arg(long, value_name = "FILE")]
    pub ssh_identity: Option<PathBuf>,
}
