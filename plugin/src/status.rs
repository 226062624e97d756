//! `kubectl extconn status`: what is exposed, by which gateway, and whether it is healthy.

pub(crate) mod observe;
pub(crate) mod render;
pub(crate) mod view;

use std::time::Duration;

use clap::Args;

use crate::cli::output::{self, Output};
use crate::cli::{ConnectorNamespace, OutputArg};
use crate::cluster::{Cluster, installation};
use crate::failure::{Exit, Failure};
use crate::invocation::Invocation;
use view::StatusView;

/// How often `--watch` looks again.
const WATCH_PERIOD: Duration = Duration::from_secs(1);

/// Arguments of `status`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  # In the namespace of the context
  kubectl extconn status

  # Everywhere, and again at each change until Ctrl-C
  kubectl extconn status -A --watch

  # One, for a script: exit status 0 means that it is ready
  kubectl extconn status my-externalservice -o json

Exit status: 0 all shown are ready, 1 at least one is not.")]
pub(crate) struct StatusArgs {
    /// Name of an ExternalService; all if left out.
    #[arg(value_name = "NAME", add = crate::completion::external_service_names())]
    name: Option<String>,
    /// In all namespaces.
    #[arg(short = 'A', long, conflicts_with = "name")]
    all_namespaces: bool,
    /// Show it again at each change, until Ctrl-C.
    #[arg(short, long)]
    watch: bool,
    #[command(flatten)]
    connector: ConnectorNamespace,
    #[command(flatten)]
    output: OutputArg,
}

/// Prints the state; with `--watch`, until interrupted.
pub(crate) async fn run(invocation: &Invocation, args: StatusArgs) -> Result<(), Failure> {
    let cluster = Cluster::connect(&invocation.kubectl).await?;
    let connector = installation::connector_namespace(&cluster, &args.connector).await?;
    let scope = observe::Scope {
        namespace: (!args.all_namespaces).then(|| cluster.namespace.clone()),
        name: args.name.clone(),
    };
    let mut shown: Option<StatusView> = None;
    loop {
        let view = StatusView::new(
            observe::observe(&cluster, &connector, &scope).await?,
            &connector,
        );
        if shown.as_ref() != Some(&view) {
            print(invocation, &args, &scope, &view)?;
        }
        if !args.watch {
            return if view.all_ready() {
                Ok(())
            } else {
                Err(Failure::silent(Exit::Failed))
            };
        }
        shown = Some(view);
        tokio::time::sleep(WATCH_PERIOD).await;
    }
}

fn print(
    invocation: &Invocation,
    args: &StatusArgs,
    scope: &observe::Scope,
    view: &StatusView,
) -> Result<(), Failure> {
    let terminal = invocation.terminal;
    let answer = match args.output.output {
        Output::Json => output::json(view),
        Output::Yaml if args.watch => format!("---\n{}", output::yaml(view)),
        Output::Yaml => output::yaml(view),
        Output::Table if view.external_services.is_empty() => {
            let elsewhere = match scope.namespace {
                Some(_) => "-A shows those of all namespaces, ",
                None => "",
            };
            terminal.say(&format!(
                "there is no ExternalService in {}; {elsewhere}`kubectl extconn expose` makes one",
                scope.place()
            ));
            return Ok(());
        }
        Output::Table => render::table(view, terminal.answer, scope.namespace.is_none()),
    };
    if args.watch && terminal.answer.width.is_some() && args.output.output == Output::Table {
        let _ = console::Term::stdout().clear_screen();
    }
    terminal.print(&answer)
}
