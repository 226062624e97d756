//! Pure: the command line as a type.

pub(crate) mod duration;
pub(crate) mod kubectl_flags;
pub(crate) mod output;
pub(crate) mod ssh;

use clap::{Args, Parser, Subcommand};

use kubectl_flags::KubectlFlags;
use output::Output;

/// Give pods a static source IP towards an external server, and let it reach them there.
#[derive(Parser)]
#[command(
    name = "kubectl-extconn",
    bin_name = "kubectl extconn",
    after_help = "\
Examples:
  # Install extconn, and a gateway on a host
  kubectl extconn init

  # Give the pods behind a Service a source IP
  kubectl extconn expose

  # Prove that it works
  kubectl extconn test

  # What is exposed, through which gateway, and is it healthy?
  kubectl extconn status -A

Exit status: 0 done, 1 failed, 2 wrong usage, 3 could not run, 130 interrupted."
)]
#[command(arg_required_else_help = true, propagate_version = false)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub kubectl: KubectlFlags,
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Install extconn in the cluster and a gateway on a host, or bring them up to date.
    Init(crate::init::InitArgs),
    /// Show what is exposed, by which gateway, and whether it is healthy.
    Status(crate::status::StatusArgs),
    /// Give the pods behind Services a source IP towards an external server.
    Expose(crate::expose::ExposeArgs),
    /// Prove hop by hop that an ExternalService works, and name the hop that does not.
    Test(crate::prove::TestArgs),
    /// Check that all is there that extconn needs, and that all of it is well.
    Check(crate::check::CheckArgs),
    /// Print what operator, forwarders and gateways say.
    Logs(crate::logs::LogsArgs),
    /// Remove extconn from the cluster and from its gateway hosts.
    Uninstall(crate::uninstall::UninstallArgs),
    /// Let the tab key complete `kubectl extconn`.
    Completion(crate::completion::CompletionArgs),
    /// Print the manual page.
    Man(crate::manual::ManArgs),
    /// Answer kubectl's completion.
    #[command(name = "__complete", hide = true)]
    Complete(crate::completion::CompleteArgs),
    /// Print the versions of this plugin and of what runs in the cluster.
    Version(crate::version::VersionArgs),
}

/// Where extconn runs.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ConnectorNamespace {
    /// Namespace in which extconn runs; found by itself if left out.
    #[arg(long, value_name = "NAME")]
    pub connector_namespace: Option<String>,
}

/// Whether to ask.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct YesArg {
    /// Ask nothing: take defaults, and agree to the plan.
    #[arg(short, long)]
    pub yes: bool,
}

/// Form of the answer.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct OutputArg {
    /// Form of the answer.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}
