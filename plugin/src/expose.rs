//! `kubectl extconn expose`: makes an ExternalService and waits until traffic flows.

mod apply;
mod change;
#[cfg(test)]
mod fixtures;
mod instructions;
mod judge;
mod manifest;
mod offers;
mod questions;
mod readiness;
pub(crate) mod request;
mod surroundings;

use std::io::Read;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::cli::output::{self, Output};
use crate::cli::{ConnectorNamespace, OutputArg, YesArg, duration};
use crate::cluster::{Cluster, installation};
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::prompt;
use crate::terminal::style::Mood;
use apply::Keep;
use judge::Finding;
pub(crate) use judge::service_key;
use manifest::Manifest;
use request::{PortRequest, SourceArg};
use surroundings::Surroundings;

/// Arguments of `expose`.
#[derive(Args, Debug, Default)]
#[command(after_help = "\
Examples:
  # Answer questions
  kubectl extconn expose

  # Without questions
  kubectl extconn expose my-externalservice --target 192.168.122.139 --port 8000 \\
      --source my-service1=192.168.122.200 --yes

  # As an administrator, for Services of several namespaces
  kubectl extconn expose -n external-services my-externalservice \\
      --target 192.168.122.139 --port 8000 \\
      --source ns1/my-service1=192.168.122.200 --source ns2/my-service2=192.168.122.201 --yes

  # Only write the manifest
  kubectl extconn expose my-externalservice --target 192.168.122.139 --port 8000 \\
      --source my-service1=192.168.122.200 --dry-run=client -o yaml

  # Check a manifest against the cluster without applying it
  kubectl extconn expose -n external-services \\
      -f docs/examples/my-externalservice.yaml --dry-run=server")]
pub(crate) struct ExposeArgs {
    /// Name, which becomes the DNS name that pods dial.
    #[arg(value_name = "NAME", value_parser = request::name)]
    name: Option<String>,
    /// IPv4 address of the external server.
    #[arg(long, value_name = "IP", value_parser = request::address)]
    target: Option<Ipv4Addr>,
    /// Port of the external server, or DIALLED:PORT if pods dial another one; may be repeated.
    #[arg(long = "port", value_name = "PORT")]
    ports: Vec<PortRequest>,
    /// Service and its source IP, [NAMESPACE/]SERVICE=IP; may be repeated.
    #[arg(long = "source", value_name = "SERVICE=IP")]
    sources: Vec<SourceArg>,
    /// Make no way from the external server into the cluster.
    #[arg(long)]
    one_way: bool,
    /// Take ExternalServices from a file, `-` for standard input, instead of flags.
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["name", "target", "ports", "sources", "one_way"])]
    filename: Option<PathBuf>,
    /// Change nothing: print what would be applied (client), also ask the API server (server).
    #[arg(long, value_enum, value_name = "WHERE", num_args = 0..=1, default_missing_value = "client", require_equals = true)]
    dry_run: Option<DryRun>,
    /// Apply although a check says that it will not work.
    #[arg(long)]
    force: bool,
    /// Do not wait until it is ready.
    #[arg(long)]
    no_wait: bool,
    /// How long to wait until it is ready.
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = duration::parse)]
    timeout: Duration,
    #[command(flatten)]
    connector: ConnectorNamespace,
    #[command(flatten)]
    yes: YesArg,
    #[command(flatten)]
    output: OutputArg,
}

/// Where a dry run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DryRun {
    /// Here.
    Client,
    /// At the API server, which keeps nothing.
    Server,
}

/// Asks, checks, applies, waits.
pub(crate) async fn run(invocation: &Invocation, args: ExposeArgs) -> Result<(), Failure> {
    let (cluster, seen) = match look_around(invocation, &args).await {
        Ok((cluster, seen)) => (Some(cluster), seen),
        // A manifest can be written without a cluster.
        Err(failure) if args.dry_run == Some(DryRun::Client) => {
            let warning = invocation.terminal.talk.unsure("warning:");
            invocation.terminal.say(&format!(
                "{warning} not checked against the cluster: {}",
                failure.message()
            ));
            (None, Surroundings::default())
        }
        Err(failure) => return Err(failure),
    };
    let namespace = match (&cluster, &invocation.kubectl.namespace) {
        (Some(cluster), _) => cluster.namespace.clone(),
        (None, given) => given.clone().unwrap_or_else(|| "default".to_owned()),
    };
    let prompter = prompt::prompter(invocation.terminal, args.yes.yes);
    let manifests = match &args.filename {
        Some(path) => read_file(path, &namespace)?,
        None => vec![manifest::of(
            questions::ask(&args, &namespace, &seen, prompter.as_ref())?.external_service(),
        )],
    };
    if let Some(cluster) = &cluster {
        show_findings(invocation, &args, &manifests, &seen)?;
        if args.dry_run == Some(DryRun::Server) {
            for manifest in &manifests {
                apply::apply(cluster, manifest, Keep::DryRun).await?;
            }
        }
    }
    if args.dry_run.is_some() {
        return print_manifests(invocation, args.output.output, &manifests);
    }
    let Some(cluster) = cluster else {
        return Err(Failure::could_not_run("there is no cluster"));
    };
    if prompter.is_interactive() {
        invocation.terminal.say(&yaml(&manifests));
    }
    if !prompter.agree("Apply this?")? {
        return Err(Failure::failed("nothing was changed"));
    }
    carry_out(invocation, &args, &cluster, &manifests, &seen).await
}

async fn look_around(
    invocation: &Invocation,
    args: &ExposeArgs,
) -> Result<(Cluster, Surroundings), Failure> {
    let cluster = Cluster::connect(&invocation.kubectl).await?;
    let connector = installation::connector_namespace(&cluster, &args.connector).await?;
    let seen = surroundings::observe(&cluster, &connector).await?;
    Ok((cluster, seen))
}

fn read_file(path: &Path, namespace: &str) -> Result<Vec<Manifest>, Failure> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(drop)
    } else {
        std::fs::read_to_string(path).map(|content| text = content)
    };
    let name = path.display();
    read.map_err(|error| Failure::could_not_run(format!("failed to read {name}: {error}")))?;
    manifest::read(&text, namespace).map_err(|wrong| Failure::failed(format!("{name}: {wrong}")))
}

/// Says what does not fit; ends the command if something will not work and is not forced.
fn show_findings(
    invocation: &Invocation,
    args: &ExposeArgs,
    manifests: &[Manifest],
    seen: &Surroundings,
) -> Result<(), Failure> {
    let findings: Vec<Finding> = manifests
        .iter()
        .flat_map(|manifest| judge::judge(&manifest.object, seen))
        .collect();
    let style = invocation.terminal.talk;
    for finding in &findings {
        invocation
            .terminal
            .say(&format!("{} {}", style.sign(finding.mood), finding.text));
        invocation
            .terminal
            .say(&format!("  {} {}", style.strong("next:"), finding.next));
    }
    if !args.force && findings.iter().any(|finding| finding.mood == Mood::Bad) {
        return Err(Failure::failed("it would not work, so nothing was applied")
            .next("follow the steps above, or apply it all the same with --force"));
    }
    Ok(())
}

fn yaml(manifests: &[Manifest]) -> String {
    let documents: Vec<String> = manifests
        .iter()
        .map(|manifest| output::yaml(&manifest.written))
        .collect();
    documents.join("---\n")
}

fn print_manifests(
    invocation: &Invocation,
    form: Output,
    manifests: &[Manifest],
) -> Result<(), Failure> {
    let answer = match (form, manifests) {
        (Output::Json, [one]) => output::json(&one.written),
        (Output::Json, several) => output::json(&serde_json::json!({
            "apiVersion": "v1", "kind": "List",
            "items": several.iter().map(|manifest| &manifest.written).collect::<Vec<_>>(),
        })),
        (Output::Table | Output::Yaml, _) => yaml(manifests),
    };
    invocation.terminal.print(&answer)
}

async fn carry_out(
    invocation: &Invocation,
    args: &ExposeArgs,
    cluster: &Cluster,
    manifests: &[Manifest],
    seen: &Surroundings,
) -> Result<(), Failure> {
    let mut applied = Vec::new();
    for manifest in manifests {
        applied.push(apply::apply(cluster, manifest, Keep::Yes).await?);
    }
    if !args.no_wait {
        for object in &applied {
            apply::wait_until_ready(invocation, cluster, object, args.timeout).await?;
        }
    }
    let answer = match args.output.output {
        Output::Table => {
            let texts = applied
                .iter()
                .map(|object| instructions::instructions(object, seen, invocation.terminal.answer));
            texts.collect::<Vec<_>>().join("\n")
        }
        form => {
            return print_manifests(
                invocation,
                form,
                &applied.into_iter().map(manifest::of).collect::<Vec<_>>(),
            );
        }
    };
    invocation.terminal.print(&answer)
}
