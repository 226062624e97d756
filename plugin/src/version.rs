//! `kubectl extconn version`: the versions of the plugin and of what runs in the cluster.

pub(crate) mod report;

use clap::Args;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;

use crate::cli::output::{self, Output};
use crate::cli::{ConnectorNamespace, OutputArg};
use crate::cluster::{Cluster, installation};
use crate::failure::Failure;
use crate::invocation::Invocation;

/// Arguments of `version`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  # Everything, with a warning where versions differ too much
  kubectl extconn version

  # This plugin only, without asking the cluster
  kubectl extconn version --client

  # For a script
  kubectl extconn version --client -o json")]
pub(crate) struct VersionArgs {
    /// Print the plugin's own version and do not ask the cluster.
    #[arg(long)]
    client: bool,
    #[command(flatten)]
    connector: ConnectorNamespace,
    #[command(flatten)]
    output: OutputArg,
}

/// Prints the versions. A cluster that does not answer is told on standard error and is no
/// failure: the plugin's own version was still printed.
pub(crate) async fn run(invocation: &Invocation, args: VersionArgs) -> Result<(), Failure> {
    let mut versions = report::Versions::of_the_client();
    let mut trouble = None;
    if !args.client {
        match ask(invocation, &args.connector).await {
            Ok((deployments, leases)) => {
                versions.add_deployments(&deployments);
                versions.add_gateways(&leases);
            }
            Err(failure) => trouble = Some(failure),
        }
    }
    let answer = match args.output.output {
        Output::Table => versions.text(),
        Output::Json => output::json(&versions),
        Output::Yaml => output::yaml(&versions),
    };
    invocation.terminal.print(&answer)?;
    if let Some(failure) = trouble {
        let style = invocation.terminal.talk;
        invocation.terminal.say(&format!(
            "{} {}",
            style.unsure("warning:"),
            failure.message()
        ));
    }
    for warning in versions.skew() {
        invocation.terminal.say(&format!(
            "{} {warning}",
            invocation.terminal.talk.unsure("warning:")
        ));
    }
    Ok(())
}

async fn ask(
    invocation: &Invocation,
    connector: &ConnectorNamespace,
) -> Result<(Vec<Deployment>, Vec<Lease>), Failure> {
    let cluster = Cluster::connect(&invocation.kubectl).await?;
    let namespace = installation::connector_namespace(&cluster, connector).await?;
    let deployments = installation::deployments(&cluster, &namespace).await?;
    let leases = installation::gateway_leases(&cluster, &namespace).await?;
    Ok((deployments, leases))
}
