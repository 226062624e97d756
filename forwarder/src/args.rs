//! The command line of `extconn-forwarder`.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use clap::{Parser, Subcommand};
use extconn_agent::logs::LogFormat;
use extconn_api::names::forwarder_env;

use crate::dial::DialArgs;

/// Carries connections of pods to external servers from static source IPs, and back.
///
/// Runs in a pod that the extconn operator makes: it carries out one Forwarder object. The
/// Kubernetes API is reached with the pod's service account, or with the current context of the
/// kubeconfig when run outside a cluster. RUST_LOG chooses what is logged (for example `debug`).
#[derive(Clone, Debug, Parser)]
#[command(
    name = "extconn-forwarder",
    version,
    args_conflicts_with_subcommands = true
)]
#[command(subcommand_negates_reqs = true)]
pub struct CommandLine {
    /// What to do instead
    #[command(subcommand)]
    pub command: Option<Command>,

    /// What to carry out
    #[command(flatten)]
    pub args: Option<Args>,
}

/// What to do instead of being a forwarder.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Dial addresses and say how each connection ended, a line of JSON for each
    Dial(DialArgs),
}

/// What to carry out.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Name of the Forwarder object to carry out
    #[arg(long, env = forwarder_env::FORWARDER_NAME, value_name = "NAME")]
    pub forwarder: String,

    /// Name of this pod: the key of its entry in the Forwarder's status
    #[arg(long, env = forwarder_env::POD_NAME, value_name = "NAME")]
    pub pod_name: String,

    /// Namespace of this pod and of the Forwarder object
    #[arg(long, env = forwarder_env::POD_NAMESPACE, value_name = "NAMESPACE")]
    pub pod_namespace: String,

    /// Port for /healthz, /readyz and /metrics, on every address
    #[arg(long, env = forwarder_env::HTTP_PORT, value_name = "PORT", default_value_t = 8081,
          value_parser = clap::value_parser!(u16).range(1..))]
    pub http_port: u16,

    /// Seconds for which connections are still accepted after SIGTERM, so that none is refused
    /// while the endpoint is being removed everywhere
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    pub linger: u32,

    /// Seconds for which connections may then go on before they are reset
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub drain: u32,

    /// Form of the log lines, on standard error
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
}

impl Args {
    /// Where the probes are served.
    pub fn http_address(&self) -> SocketAddr {
        (Ipv4Addr::UNSPECIFIED, self.http_port).into()
    }

    /// How long to accept after SIGTERM.
    pub fn linger(&self) -> Duration {
        Duration::from_secs(self.linger.into())
    }

    /// How long to drain.
    pub fn drain(&self) -> Duration {
        Duration::from_secs(self.drain.into())
    }
}
