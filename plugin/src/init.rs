//! `kubectl extconn init`: extconn into a cluster, a gateway onto a host; run again, it changes
//! only what differs.

mod binary;
mod carry_out;
mod chart;
mod discovery;
mod drift;
mod gateway_install;
mod host_files;
mod operator;
mod ownership;
mod plan;
mod questions;
mod reach;
mod registration;
mod reservation;

use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use extconn_api::external_service::ExternalService;
use kube::api::{Api, ListParams};

use crate::cli::ssh::SshArgs;
use crate::cli::{ConnectorNamespace, YesArg, duration};
use crate::cluster::gateway_hosts::GatewayHost;
use crate::cluster::{self, Cluster, api_server, is_forbidden, is_not_found, permissions};
use crate::failure::Failure;
use crate::helm::{Helm, Values};
use crate::host::facts::HostFacts;
use crate::host::preflight;
use crate::host::ssh::{MayAsk, Ssh};
use crate::invocation::Invocation;
use crate::prompt::{self, Prompter};
use crate::terminal::progress::Step;
use crate::terminal::style::Mood;
use discovery::Discovery;
pub(crate) use gateway_install::served_cluster;
use host_files::{HostFile, HostFiles, SourceIp};
pub(crate) use host_files::{ServedCluster, UNINSTALL};
pub(crate) use ownership::refuse_another_cluster;
pub(crate) use questions::destination;
use reservation::Reservation;

/// Arguments of `init`.
#[derive(Args, Debug, Default)]
#[command(after_help = "\
Examples:
  # Answer questions
  kubectl extconn init

  # See everything that would be run and made
  kubectl extconn init --gateway root@192.168.122.10 --source-ip 192.168.122.200 --dry-run

  # Without questions: both source IPs are on the host
  kubectl extconn init --gateway root@192.168.122.10 --source-ip 192.168.122.200 \\
      --source-ip 192.168.122.201 --yes

  # Only the cluster's part; gateway hosts follow
  kubectl extconn init --no-gateway --yes

Run it again with the same answers and it changes nothing; with others, it changes just that.
A second gateway host is one more `init --gateway`. An interrupted run is finished by the next.")]
pub(crate) struct InitArgs {
    /// Gateway host as ssh knows it, USER@HOST.
    #[arg(long, value_name = "DESTINATION", value_parser = questions::destination)]
    gateway: Option<String>,
    /// Set up no gateway host.
    #[arg(long, conflicts_with_all = ["gateway", "source_ips", "reserve", "take_over", "ssh_endpoint", "api_server"])]
    no_gateway: bool,
    /// Source IP that the cluster may use there, IP or IP=INTERFACE to have the gateway assign it;
    /// may be repeated.
    #[arg(long = "source-ip", value_name = "IP[=INTERFACE]", value_parser = questions::source_ip)]
    source_ips: Vec<SourceIp>,
    /// Let only ExternalServices of these namespaces use a source IP, IP=NAMESPACE,…; IP= lets all
    /// use it again; may be repeated.
    #[arg(long, value_name = "IP=NAMESPACE,…", value_parser = reservation::parse)]
    reserve: Vec<Reservation>,
    /// Take over a host that is the gateway of another cluster.
    #[arg(long)]
    take_over: bool,
    /// Address and port at which the cluster reaches the gateway; the host's own and 2022.
    #[arg(long, value_name = "ADDRESS[:PORT]", value_parser = questions::endpoint)]
    ssh_endpoint: Option<SocketAddrV4>,
    /// Network in which external servers may be, 203.0.113.0/24; may be repeated; all if left out.
    #[arg(long = "target-network", value_name = "CIDR", value_parser = questions::network)]
    target_networks: Vec<String>,
    /// Name of the gateway host in the cluster; its own if left out.
    #[arg(long, value_name = "NAME")]
    gateway_name: Option<String>,
    /// API server as the gateway host reaches it; as this machine does if left out.
    #[arg(long, value_name = "URL", value_parser = questions::server)]
    api_server: Option<String>,
    /// Gateway program to install; the one beside this plugin if left out.
    #[arg(long, value_name = "FILE")]
    gateway_binary: Option<PathBuf>,
    /// Registry that has the images; the chart's own if left out.
    #[arg(long, value_name = "REGISTRY")]
    registry: Option<String>,
    /// File of values for the chart; may be repeated.
    #[arg(long = "values", value_name = "FILE")]
    values: Vec<PathBuf>,
    /// Value for the chart, KEY=VALUE; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Change nothing: print each command and object.
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

/// A gateway host as it is and as it shall be.
struct Host {
    ssh: Ssh,
    facts: HostFacts,
    wanted: GatewayHost,
    files: HostFiles,
    differing: Vec<&'static str>,
    is_ready: bool,
}

/// Discovers, asks, plans, does.
pub(crate) async fn run(invocation: &Invocation, args: InitArgs) -> Result<(), Failure> {
    let prompter = prompt::prompter(invocation.terminal, args.yes.yes);
    let planned = invocation
        .interrupt
        .unless(prepare(invocation, &args, prompter.as_ref()))
        .await?;
    let Some((work, steps)) = planned else {
        return Ok(());
    };
    work.carry_out(invocation, &steps).await?;
    invocation
        .terminal
        .print(&work.farewell(&steps, invocation.terminal.answer))
}

/// All that comes before the first change; `None` if there shall be none.
async fn prepare(
    invocation: &Invocation,
    args: &InitArgs,
    prompter: &dyn Prompter,
) -> Result<Option<(carry_out::Work, Vec<plan::Step>)>, Failure> {
    let mut kubectl = invocation.kubectl.clone();
    kubectl.context = questions::context(&kubectl, prompter)?;
    let step = Step::begin(invocation.terminal, "looking at the cluster");
    let cluster = Cluster::connect(&kubectl).await?;
    let found = discovery::discover(&cluster, &args.connector).await?;
    step.done(&summary(&cluster, &found));
    let (doubtful, missing): (Vec<_>, Vec<_>) = found
        .missing
        .iter()
        .cloned()
        .partition(permissions::Permission::may_be_done_without);
    if let Some(first) = missing.first() {
        return Err(
            Failure::could_not_run(format!("you may not {first}")).next(format!(
                "ask a cluster administrator for: {}",
                permissions::grouped(&found.missing)
            )),
        );
    }
    if !doubtful.is_empty() {
        let sign = invocation.terminal.talk.sign(Mood::Unsure);
        invocation.terminal.say(&format!(
            "{sign} you may not {}: that works only if you have every permission of the chart's roles yourself",
            permissions::grouped(&doubtful)
        ));
    }
    let namespace = questions::connector_namespace(args, &found, prompter)?;
    let host = if args.no_gateway {
        None
    } else {
        Some(look_at_host(invocation, args, &cluster, &found, &namespace, prompter).await?)
    };

    let step = Step::begin(invocation.terminal, "looking at the helm release");
    let helm = Helm::new(&kubectl, found.release.clone())?;
    let mut values = values(args, &namespace);
    if !discovery::is_namespace_ours(&cluster, &namespace, &found.release).await? {
        values
            .set
            .push("connectorNamespace.create=false".to_owned());
    }
    let chart::Installed {
        release,
        is_current,
        scaled_down,
        has_account,
    } = chart::look(&cluster, &helm, &mut values, step).await?;

    let remembered = host.as_ref().and_then(|host| {
        found
            .gateway_hosts
            .iter()
            .find(|known| known.object_name() == host.wanted.object_name())
    });
    let losses = match &host {
        Some(host) => {
            ownership::refuse_another_hosts_name(remembered, &host.wanted)?;
            let all = external_services(&cluster).await?;
            ownership::losses(remembered, &host.wanted, &all)
        }
        None => Vec::new(),
    };
    let steps = plan::plan(&plan::Situation {
        release: release.as_ref(),
        chart_is_current: is_current && found.is_whole,
        has_account,
        host: host.as_ref().map(|host| plan::HostSituation {
            wanted: &host.wanted,
            remembered,
            facts: &host.facts,
            differing: &host.differing,
            is_ready: host.is_ready,
        }),
    });
    let work = carry_out::Work {
        cluster,
        helm,
        release,
        scaled_down,
        values,
        host,
        namespace,
        timeout: args.timeout,
    };
    if args.dry_run {
        invocation.terminal.print(&work.dry_run(&steps).await?)?;
        return Ok(None);
    }
    show_plan(invocation, &steps, &work);
    for loss in &losses {
        let sign = invocation.terminal.talk.sign(Mood::Unsure);
        invocation.terminal.say(&format!("{sign} {loss}"));
    }
    if !steps.is_empty() && !prompter.agree("Do this?")? {
        return Err(Failure::failed("nothing was changed"));
    }
    Ok(Some((work, steps)))
}

/// All ExternalServices; none before the CRDs are there, and for those who may not list them.
async fn external_services(cluster: &Cluster) -> Result<Vec<ExternalService>, Failure> {
    let all: Api<ExternalService> = Api::all(cluster.client.clone());
    match all.list(&ListParams::default()).await {
        Ok(found) => Ok(found.items),
        Err(error) if is_forbidden(&error) || is_not_found(&error) => Ok(Vec::new()),
        Err(error) => Err(cluster::api("list ExternalServices")(error)),
    }
}

/// What the chart is given beside what the release has.
fn values(args: &InitArgs, namespace: &str) -> Values {
    let mut set = vec![format!("connectorNamespace.name={namespace}")];
    for component in ["operator", "forwarder"] {
        let registry = args.registry.iter();
        set.extend(registry.map(|registry| format!("{component}.image.registry={registry}")));
    }
    set.extend(args.set.iter().cloned());
    Values {
        files: args.values.clone(),
        set,
        ..Values::default()
    }
}

fn summary(cluster: &Cluster, found: &Discovery) -> String {
    let state = if found.installed {
        "extconn is installed"
    } else if !found.may_look {
        "you may not see whether extconn is installed"
    } else {
        "extconn is not installed yet"
    };
    let submariner = if found.submariner {
        ", beside Submariner"
    } else {
        ""
    };
    format!(
        "Kubernetes {} at {}: {state}{submariner}",
        found.kubernetes,
        cluster.server()
    )
}

fn show_plan(invocation: &Invocation, steps: &[plan::Step], work: &carry_out::Work) {
    let terminal = invocation.terminal;
    if steps.is_empty() {
        terminal.say(&format!(
            "{} everything is in place already: there is nothing to change",
            terminal.talk.sign(Mood::Good)
        ));
        return;
    }
    terminal.say(&terminal.talk.strong("Plan"));
    for (number, step) in (1..).zip(steps) {
        terminal.say(&format!(
            "  {number}. {}",
            plan::described(step, work.host.as_ref().map(|host| &host.wanted))
        ));
    }
}

async fn look_at_host(
    invocation: &Invocation,
    args: &InitArgs,
    cluster: &Cluster,
    found: &Discovery,
    namespace: &str,
    prompter: &dyn Prompter,
) -> Result<Host, Failure> {
    let destination = questions::gateway(args, found, prompter)?;
    let may_ask = if prompter.is_interactive() {
        MayAsk::Yes
    } else {
        MayAsk::No
    };
    // No spinner: ssh may ask for a passphrase.
    invocation
        .terminal
        .say(&format!("logging in on {destination}"));
    let ssh = Ssh::connect(&destination, &args.ssh, may_ask).await?;

    let step = Step::begin(invocation.terminal, format!("looking at {destination}"));
    let bare = gateway_install::look(&ssh, None, &[]).await?;
    let present = gateway_install::present_host_file(&ssh).await?;
    drop(step);
    let present = present.filter(|present| present.connector_namespace == namespace);
    let authority = api_server::certificate_authority(cluster).await?;
    let serves = gateway_install::served_cluster(&ssh).await?;
    if !args.take_over {
        let own = cluster.server();
        let own = ServedCluster::new(args.api_server.as_deref().unwrap_or(&own), &authority);
        ownership::refuse_another_cluster(&destination, serves.as_ref(), &own)?;
    }
    let present_server = serves.as_ref().map(|serves| serves.server.clone());
    let present_server = present_server.filter(|_| present.is_some() && !args.take_over);
    let host_file = questions::host_file(
        args,
        namespace,
        &bare,
        present,
        ssh.server_address(),
        prompter,
    )?;
    let server = questions::api_server(args, &cluster.server(), present_server, prompter)?;

    let step = Step::begin(invocation.terminal, format!("checking {destination}"));
    let source_ips: Vec<String> = host_file
        .source_ips
        .iter()
        .map(|source| source.ip.to_string())
        .collect();
    let facts = gateway_install::look(
        &ssh,
        Some((host_file.ssh_endpoint.port(), &server)),
        &source_ips,
    )
    .await?;
    let cluster_clock = api_server::clock(cluster).await?.unwrap_or(facts.clock);
    let is_ready = gateway_install::is_ready(&ssh).await?;
    let host_text = gateway_install::text_of(&ssh, &host_file).await?;
    drop(step);

    let architecture = preflight::go_architecture(&facts.architecture).unwrap_or_default();
    let binary = binary::read(args.gateway_binary.as_deref(), architecture);
    let files = binary.map(|binary| HostFiles {
        binary,
        host_file: host_text,
        kubeconfig: host_files::kubeconfig(
            &server,
            &authority,
            cluster.config.tls_server_name.as_deref(),
        ),
    });
    let present = files.as_ref().ok();
    let differing = present.map_or_else(Vec::new, |files| files.differing(&facts));
    let copies = present
        .filter(|_| !differing.is_empty() || !is_ready || facts.restart_owed)
        .map(|files| files.copies(&differing));
    check_host(
        invocation,
        &facts,
        &host_file,
        &server,
        cluster_clock,
        copies,
    )?;
    // A host that is no gateway's is told before a program for it is missed.
    let files = files?;
    let wanted = GatewayHost {
        name: host_file
            .host_name
            .clone()
            .unwrap_or_else(|| facts.hostname.clone()),
        ssh: destination,
        ssh_endpoint: host_file.ssh_endpoint.to_string(),
        source_ips: {
            let mut ips: Vec<_> = host_file
                .source_ips
                .iter()
                .map(|source| source.ip)
                .collect();
            ips.sort();
            ips
        },
    };
    Ok(Host {
        ssh,
        facts,
        wanted,
        files,
        differing,
        is_ready,
    })
}

/// Shows every look at the host; ends the command if a gateway could not run there.
fn check_host(
    invocation: &Invocation,
    facts: &HostFacts,
    host_file: &HostFile,
    server: &str,
    cluster_clock: i64,
    copies: Option<preflight::Copies>,
) -> Result<(), Failure> {
    let (api_host, api_port) = questions::host_and_port(server);
    let items = preflight::judge(
        facts,
        &preflight::Wanted {
            ssh_port: host_file.ssh_endpoint.port(),
            source_ips: host_file
                .source_ips
                .iter()
                .map(|source| (source.ip, source.assign_to.clone()))
                .collect(),
            api_server: format!("{api_host}:{api_port}"),
            cluster_clock,
            copies,
        },
    );
    let style = invocation.terminal.talk;
    for item in &items {
        invocation
            .terminal
            .say(&format!("  {} {}", style.sign(item.mood), item.text));
        if item.mood != Mood::Good {
            invocation
                .terminal
                .say(&format!("    {} {}", style.strong("next:"), item.next));
        }
    }
    let bad: Vec<&preflight::Item> = items.iter().filter(|item| item.mood == Mood::Bad).collect();
    match bad.as_slice() {
        [] => Ok(()),
        [one] => Err(Failure::failed(format!(
            "no gateway can run on {}: {}",
            facts.hostname, one.text
        ))
        .next(one.next.clone())),
        several => Err(Failure::failed(format!(
            "no gateway can run on {}: {} things are in the way",
            facts.hostname,
            several.len()
        ))
        .next("follow each step above, then run this again")),
    }
}
