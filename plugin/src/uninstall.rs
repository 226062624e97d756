//! `kubectl extconn uninstall`: extconn out of the cluster and off its gateway hosts.

mod carry_out;
mod crds;
mod gateway;
mod hook;
mod orphans;
mod plan;
mod release;
mod surroundings;
mod which_host;

use std::time::Duration;

use clap::Args;

use crate::cli::ssh::SshArgs;
use crate::cli::{ConnectorNamespace, YesArg, duration};
use crate::cluster::{Cluster, installation};
use crate::failure::Failure;
use crate::helm::Helm;
use crate::host::ssh::MayAsk;
use crate::invocation::Invocation;
use crate::prompt;
use crate::terminal::wrap;
use carry_out::Work;
use plan::{Scope, Situation};

/// Arguments of `uninstall`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  # See what would be removed
  kubectl extconn uninstall --dry-run

  # Everything but the CustomResourceDefinitions and the ExternalServices of other namespaces
  kubectl extconn uninstall --yes

  # Only one gateway host
  kubectl extconn uninstall --gateway root@192.168.122.10 --yes

  # Without a trace
  kubectl extconn uninstall --delete-crds --yes

ExternalServices in the connector namespace go with it, if the chart made that namespace. An
interrupted run is finished by the next.")]
pub(crate) struct UninstallArgs {
    /// Only this gateway host, as ssh knows it, or by its name in the cluster.
    #[arg(long, value_name = "DESTINATION", value_parser = crate::init::destination, conflicts_with_all = ["keep_gateways", "delete_crds"])]
    gateway: Option<String>,
    /// Do not log in there: only forget the host, which is gone or no longer yours.
    #[arg(long, requires = "gateway")]
    forget: bool,
    /// Leave the gateway hosts as they are.
    #[arg(long)]
    keep_gateways: bool,
    /// Also delete the CustomResourceDefinitions, and with them every ExternalService.
    #[arg(long)]
    delete_crds: bool,
    /// Change nothing: print what would be removed, and the commands.
    #[arg(long)]
    dry_run: bool,
    /// How long each step may take.
    #[arg(long, value_name = "DURATION", default_value = "3m", value_parser = duration::parse)]
    timeout: Duration,
    #[command(flatten)]
    connector: ConnectorNamespace,
    #[command(flatten)]
    ssh: SshArgs,
    #[command(flatten)]
    yes: YesArg,
}

/// Plans, asks, removes.
pub(crate) async fn run(invocation: &Invocation, args: UninstallArgs) -> Result<(), Failure> {
    let terminal = invocation.terminal;
    let cluster = Cluster::connect(&invocation.kubectl).await?;
    let namespace = installation::connector_namespace(&cluster, &args.connector).await?;
    let scope = scope(&args);
    installation::refuse_elsewhere(&cluster, &args.connector).await?;
    let release_name = installation::release_name(&cluster, &namespace).await?;
    let helm = Helm::new(&invocation.kubectl, release_name)?;
    let found = surroundings::look(&cluster, &helm, &namespace, &scope).await?;
    let prompter = prompt::prompter(terminal, args.yes.yes);
    let work = Work {
        invocation,
        cluster,
        helm,
        namespace,
        found,
        scope,
        may_ask: if prompter.is_interactive() {
            MayAsk::Yes
        } else {
            MayAsk::No
        },
        args,
    };
    let situation = Situation {
        known: &work.found.known,
        release: work
            .found
            .release
            .as_ref()
            .map(|installed| (installed.hook, installed.lost.clone())),
        crds: &work.found.crds,
        counts: work.found.counts,
        orphans: work.found.orphans,
        scope: &work.scope,
    };
    let steps = plan::plan(&situation)?;
    if steps.is_empty() {
        return terminal.print(&format!("{}\n", plan::nothing_to_do(&situation)));
    }
    let mut text = format!("{}\n", terminal.answer.strong("Plan"));
    for (number, step) in (1..).zip(&steps) {
        text.push_str(&format!("  {number}. {}\n", plan::described(step)));
    }
    if work.args.dry_run {
        return terminal.print(&format!("{text}\n{}", work.dry_run(&steps)));
    }
    terminal.say(text.trim_end());
    if !prompter.agree("Remove all this?")? {
        return Err(Failure::failed("nothing was changed"));
    }
    for planned in &steps {
        work.carry_out(planned).await?;
    }
    let farewell = wrap::wrap(&plan::farewell(&situation), terminal.answer.width, "");
    terminal.print(&format!("{farewell}\n"))
}

fn scope(args: &UninstallArgs) -> Scope {
    match &args.gateway {
        Some(gateway) if args.forget => Scope::Note(gateway.clone()),
        Some(gateway) => Scope::OneHost(gateway.clone()),
        None => Scope::Everything {
            hosts: !args.keep_gateways,
            crds: args.delete_crds,
        },
    }
}
