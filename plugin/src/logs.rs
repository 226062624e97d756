//! `kubectl extconn logs`: what operator, forwarders and gateways say, side by side.

use std::time::Duration;

use clap::{Args, ValueEnum};
use extconn_api::names;
use futures::io::AsyncBufReadExt as _;
use futures::stream::{BoxStream, SelectAll, StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, ListParams, LogParams};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

use crate::cli::ssh::SshArgs;
use crate::cli::{ConnectorNamespace, duration};
use crate::cluster::gateway_hosts::{self, GatewayHost};
use crate::cluster::{Cluster, api, installation};
use crate::failure::Failure;
use crate::host::ssh::{MayAsk, Ssh};
use crate::invocation::Invocation;

/// Arguments of `logs`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  # The last lines of operator and forwarders
  kubectl extconn logs

  # The operator, as it goes on
  kubectl extconn logs operator -f

  # The forwarders of one ExternalService, of the last ten minutes
  kubectl extconn logs forwarder my-externalservice --since 10m

  # The gateway hosts, over ssh
  kubectl extconn logs gateway --tail 50")]
pub(crate) struct LogsArgs {
    /// Whose logs; those of operator and forwarders if left out.
    #[arg(value_name = "PART", value_enum)]
    part: Option<Part>,
    /// Only of this ExternalService, or of this gateway host.
    #[arg(value_name = "NAME", requires = "part")]
    name: Option<String>,
    /// Go on as more is said, until Ctrl-C.
    #[arg(short, long)]
    follow: bool,
    /// Last lines of each.
    #[arg(long, value_name = "LINES", default_value_t = 20)]
    tail: u32,
    /// Only what is newer than this.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    since: Option<Duration>,
    #[command(flatten)]
    connector: ConnectorNamespace,
    #[command(flatten)]
    ssh: SshArgs,
}

/// Whose logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The operator.
    Operator,
    /// The forwarders.
    Forwarder,
    /// The gateways on their hosts, over ssh.
    Gateway,
}

/// Lines of several logs as they come, each with the name of where it comes from.
type Lines = SelectAll<BoxStream<'static, Result<String, Failure>>>;

/// Prints the lines; with `--follow`, until interrupted.
pub(crate) async fn run(invocation: &Invocation, args: LogsArgs) -> Result<(), Failure> {
    let cluster = Cluster::connect(&invocation.kubectl).await?;
    let namespace = installation::connector_namespace(&cluster, &args.connector).await?;
    let mut children = Vec::new();
    let mut lines = if args.part == Some(Part::Gateway) {
        gateway_lines(invocation, &args, &cluster, &namespace, &mut children).await?
    } else {
        pod_lines(invocation, &args, &cluster, &namespace).await?
    };
    while let Some(line) = lines.next().await {
        invocation.terminal.print(&format!("{}\n", line?))?;
    }
    Ok(())
}

async fn pod_lines(
    invocation: &Invocation,
    args: &LogsArgs,
    cluster: &Cluster,
    namespace: &str,
) -> Result<Lines, Failure> {
    let unhurried = cluster.unhurried(&invocation.kubectl)?;
    let pods: Api<Pod> = Api::namespaced(unhurried.client, namespace);
    let found = pods.list(&ListParams::default()).await;
    let found = found.map_err(api(format_args!("list pods in namespace {namespace}")))?;
    let wanted: Vec<Pod> = found
        .items
        .into_iter()
        .filter(|pod| is_wanted(pod, args))
        .collect();
    if wanted.is_empty() {
        return Err(
            Failure::failed(format!("no pod in namespace {namespace} fits"))
                .next("see which run with `kubectl extconn check`"),
        );
    }
    let parameters = LogParams {
        follow: args.follow,
        tail_lines: Some(args.tail.into()),
        since_seconds: args
            .since
            .and_then(|since| i64::try_from(since.as_secs()).ok()),
        ..LogParams::default()
    };
    let mut lines = Lines::new();
    for pod in wanted {
        let name = pod.name_any();
        match pods.log_stream(&name, &parameters).await {
            Ok(stream) => {
                let prefix = name.clone();
                let stream = stream
                    .lines()
                    .map_ok(move |line| format!("[{prefix}] {line}"));
                lines.push(stream.map_err(move |error| broken(&name, &error)).boxed());
            }
            // A container that has not started has said nothing.
            Err(error) => invocation
                .terminal
                .say(api(format_args!("read the log of pod {name}"))(error).message()),
        }
    }
    Ok(lines)
}

fn is_wanted(pod: &Pod, args: &LogsArgs) -> bool {
    let of = pod.labels().get(names::LABEL_NAME);
    let is_operator = pod
        .labels()
        .get("app.kubernetes.io/component")
        .is_some_and(|component| component == "operator");
    match args.part {
        None => of.is_some() || is_operator,
        Some(Part::Operator) => is_operator,
        Some(Part::Forwarder) => of.is_some() && (args.name.is_none() || of == args.name.as_ref()),
        Some(Part::Gateway) => false,
    }
}

async fn gateway_lines(
    invocation: &Invocation,
    args: &LogsArgs,
    cluster: &Cluster,
    namespace: &str,
    children: &mut Vec<(Ssh, Child)>,
) -> Result<Lines, Failure> {
    let known = gateway_hosts::list(cluster, namespace).await?;
    let fits = |host: &GatewayHost| {
        args.name
            .as_ref()
            .is_none_or(|name| *name == host.name || *name == host.ssh)
    };
    let wanted: Vec<GatewayHost> = known.into_iter().filter(fits).collect();
    if wanted.is_empty() {
        return Err(Failure::failed("no such gateway host is known")
            .next("gateway hosts are set up with `kubectl extconn init`"));
    }
    let may_ask = if invocation.terminal.can_ask {
        MayAsk::Yes
    } else {
        MayAsk::No
    };
    let mut lines = Lines::new();
    for host in wanted {
        let ssh = Ssh::connect(&host.ssh, &args.ssh, may_ask).await?;
        let mut child = ssh.follow(&journal(args))?;
        if let Some(stdout) = child.stdout.take() {
            let prefix = host.name.clone();
            let name = host.name;
            let said = futures::stream::unfold(BufReader::new(stdout).lines(), |mut lines| async {
                lines
                    .next_line()
                    .await
                    .transpose()
                    .map(|line| (line, lines))
            });
            let said = said.map_ok(move |line| format!("[{prefix}] {line}"));
            lines.push(said.map_err(move |error| broken(&name, &error)).boxed());
        }
        children.push((ssh, child));
    }
    Ok(lines)
}

fn journal(args: &LogsArgs) -> String {
    let follow = if args.follow { " --follow" } else { "" };
    let since = args
        .since
        .map(|since| format!(" --since=-{}s", since.as_secs()))
        .unwrap_or_default();
    format!(
        "exec journalctl --unit extconn-gateway.service --output cat --no-pager --lines {}{since}{follow}",
        args.tail
    )
}

fn broken(of: &str, error: &std::io::Error) -> Failure {
    Failure::could_not_run(format!("the log of {of} broke off: {error}"))
}
