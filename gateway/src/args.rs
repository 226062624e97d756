//! The command line of `extconn-gateway`.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use extconn_agent::logs::LogFormat;

/// Holds static source IPs for a Kubernetes cluster: forwarders in the cluster reach external
/// servers from them, and external servers reach Services at them.
///
/// What the cluster may do on this host is in the host file, /etc/extconn/gateway.yaml.
#[derive(Clone, Debug, Parser)]
#[command(name = "extconn-gateway", version)]
pub struct Args {
    /// The host file
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        default_value = "/etc/extconn/gateway.yaml"
    )]
    pub config: PathBuf,

    /// The folder of the ssh host key and of what is remembered over a restart
    #[arg(
        long,
        global = true,
        value_name = "FOLDER",
        default_value = "/var/lib/extconn"
    )]
    pub state: PathBuf,

    /// Form of the log lines, on standard error. RUST_LOG chooses what is logged
    #[arg(long, global = true, env = "LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,

    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Be the gateway, until SIGTERM
    Run {
        /// Seconds for which connections may go on after SIGTERM before they are reset
        #[arg(long, value_name = "SECONDS", default_value_t = 25)]
        drain: u32,
    },
    /// Check the host file, the credential and the addresses, and say what they mean
    CheckConfig {
        /// Look at the host file alone: where there is no credential yet
        #[arg(long)]
        host_file_only: bool,
    },
    /// Remove the nat rules and withdraw the addresses that the gateway put on this host. Stop the
    /// service first: a running gateway would put them back
    Uninstall,
}
