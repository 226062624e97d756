//! `kubectl extconn test`: proves the path hop by hop, and says which hop fails and why.
//!
//! Nothing is called proven that was not seen: see [`hop`].

mod behind;
pub(crate) mod dialled;
#[cfg(test)]
mod fixtures;
mod hop;
mod in_front;
mod objects;
mod observe;
mod path;
pub(crate) mod pod_run;
pub(crate) mod probe_pod;
mod render;
mod replica;
mod rules;
mod seen;
mod source;
mod stale;
mod target;
mod target_login;
mod tunnels;
mod watch;
mod way_in;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clap::{Args, ValueEnum};
use extconn_api::ExternalService;
use tokio::sync::Mutex;

use crate::cli::ssh::SshArgs;
use crate::cli::{ConnectorNamespace, duration, output};
use crate::cluster::gateway_hosts;
use crate::cluster::{Cluster, installation};
use crate::expose::service_key;
use crate::failure::{Exit, Failure};
use crate::host::ssh::{MayAsk, Ssh};
use crate::invocation::Invocation;
use crate::status::observe as status_observe;
use hop::{PathReport, TestReport};
use pod_run::Made;
use target_login::TargetLogin;

/// Arguments of `test`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  # Every ExternalService of the namespace, both directions
  kubectl extconn test

  # One, and the address that the external server saw: it answers at / with the caller's address
  kubectl extconn test my-externalservice --echo /

  # Only from the cluster to the external server, without ssh to the gateway host
  kubectl extconn test my-externalservice --direction egress --no-gateway-ssh

  # For a program that collects test results
  kubectl extconn test -A -o junit

A short-lived pod with the labels of each source Service is made and taken away again. It is never
ready, so it receives no traffic, and no controller of yours adopts it.

Exit status: 0 all that was asked is proven, 1 something is not.")]
pub(crate) struct TestArgs {
    /// Name of an ExternalService; all if left out.
    #[arg(value_name = "NAME", add = crate::completion::external_service_names())]
    name: Option<String>,
    /// In all namespaces.
    #[arg(short = 'A', long, conflicts_with = "name")]
    all_namespaces: bool,
    /// Which direction to prove.
    #[arg(long, value_enum, default_value_t)]
    direction: Direction,
    /// Path at which the external server answers HTTP with the caller's address.
    #[arg(long, value_name = "PATH", value_parser = echo_path)]
    echo: Option<String>,
    /// Login on the external server by ssh, to see there who comes, and to connect to the Services.
    #[arg(long, value_name = "DESTINATION", value_parser = crate::init::destination)]
    target_ssh: Option<String>,
    /// Do not log in on gateway hosts to read their nat rules.
    #[arg(long)]
    no_gateway_ssh: bool,
    /// Make no pod; what only a pod can prove is left out.
    #[arg(long)]
    no_pod: bool,
    /// How long a probe pod may take.
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = duration::parse)]
    timeout: Duration,
    /// Form of the answer.
    #[arg(short, long, value_enum, default_value_t)]
    output: Form,
    #[command(flatten)]
    connector: ConnectorNamespace,
    #[command(flatten)]
    ssh: SshArgs,
}

/// Which direction to prove.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Direction {
    /// Both, as far as the ExternalService has both.
    #[default]
    Both,
    /// From the pods to the external server.
    Egress,
    /// From the external server to the Services.
    Ingress,
}

/// Form of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people.
    #[default]
    Table,
    /// One JSON object.
    Json,
    /// JUnit XML.
    Junit,
}

/// Checks the path of an echo endpoint.
fn echo_path(text: &str) -> Result<String, String> {
    if text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is no path: write one such as /whoami"))
    }
}

/// What the user asked for.
pub(crate) struct Asked<'a> {
    egress: bool,
    ingress: bool,
    echo: Option<&'a str>,
    gateway_ssh: bool,
    pod: bool,
    timeout: Duration,
    /// Login on the target, if the user lent one.
    target: Option<TargetLogin>,
    /// How to run ssh.
    pub(crate) ssh: &'a SshArgs,
    /// Whether ssh may ask.
    pub(crate) may_ask: MayAsk,
    /// Value of the label on everything that this run makes.
    run: String,
    /// What it has made.
    made: Made,
    /// Whether only the way in was asked for.
    only_ingress: bool,
    /// The logins on gateway hosts, by destination, or why there is none.
    logins: Mutex<BTreeMap<String, Result<Ssh, String>>>,
}

impl Asked<'_> {
    /// The login on the target of this object, if the user lent one.
    fn target_of(&self, object: &ExternalService) -> Option<&TargetLogin> {
        let target = self.target.as_ref();
        target.filter(|login| login.is_on(&object.spec.target_ip))
    }
}

/// Proves, prints, and takes away what it made, also when interrupted.
pub(crate) async fn run(invocation: &Invocation, args: TestArgs) -> Result<(), Failure> {
    let cluster = invocation
        .interrupt
        .unless(Cluster::connect(&invocation.kubectl))
        .await?;
    let may_ask = if invocation.terminal.can_ask {
        MayAsk::Yes
    } else {
        MayAsk::No
    };
    let scope = status_observe::Scope {
        namespace: (!args.all_namespaces).then(|| cluster.namespace.clone()),
        name: args.name.clone(),
    };
    let found = invocation
        .interrupt
        .unless(status_observe::external_services(&cluster, &scope))
        .await?;
    if found.is_empty() {
        let place = scope.place();
        return Err(Failure::failed(format!("there is no ExternalService in {place}"))
            .next("name another namespace with -n, or take all with -A; `kubectl extconn expose` makes one"));
    }
    let targets: BTreeSet<&String> = found.iter().map(|es| &es.spec.target_ip).collect();
    let target = match &args.target_ssh {
        Some(destination) => {
            let login = target_login::log_in(destination, &args.ssh, may_ask, targets.len() > 1);
            Some(invocation.interrupt.unless(login).await?)
        }
        None => None,
    };
    let asked = Asked {
        egress: args.direction != Direction::Ingress,
        ingress: args.direction != Direction::Egress,
        echo: args.echo.as_deref(),
        gateway_ssh: !args.no_gateway_ssh,
        pod: !args.no_pod,
        timeout: args.timeout,
        ssh: &args.ssh,
        target,
        may_ask,
        run: format!(
            "{:x}-{:x}",
            jiff::Timestamp::now().as_microsecond(),
            std::process::id()
        ),
        made: Made::default(),
        only_ingress: args.direction == Direction::Ingress,
        logins: Mutex::default(),
    };
    let proving = prove_all(invocation, &args, &asked, &cluster, found);
    let result = invocation.interrupt.unless(proving).await;
    let left = pod_run::remove_all(&cluster, &asked.made).await;
    for failure in &left {
        invocation.terminal.complain(failure);
    }
    let report = result?;
    invocation.terminal.print(&match args.output {
        Form::Table => render::table(&report, invocation.terminal.answer),
        Form::Json => output::json(&report),
        Form::Junit => render::junit(&report),
    })?;
    if report.success && left.is_empty() {
        Ok(())
    } else {
        Err(Failure::silent(Exit::Failed))
    }
}

async fn prove_all(
    invocation: &Invocation,
    args: &TestArgs,
    asked: &Asked<'_>,
    cluster: &Cluster,
    found: Vec<ExternalService>,
) -> Result<TestReport, Failure> {
    if asked.pod && asked.egress {
        remove_stale(cluster, &found).await;
    }
    let connector = installation::connector_namespace(cluster, &args.connector).await?;
    let known = gateway_hosts::list(cluster, &connector).await?;
    let mut paths = Vec::new();
    for object in found {
        let name = status_observe::described(&object);
        // What cannot be read of one hides nothing of the others.
        let proven = match observe::observe(cluster, &connector, object).await {
            Ok(seen) => path::prove(invocation, asked, cluster, &known, seen).await,
            Err(failure) => Err(failure),
        };
        paths.push(match proven {
            Err(failure) if failure.is_interrupted() => return Err(failure),
            Err(failure) => PathReport::unread(name, &failure),
            Ok(path) => path,
        });
    }
    Ok(TestReport::new(paths))
}

/// Takes away what runs that were killed have left behind these Services.
async fn remove_stale(cluster: &Cluster, external_services: &[ExternalService]) {
    let sources = external_services.iter().flat_map(|es| {
        let sources = es.spec.sources.iter();
        sources.map(|source| service_key(es, source).namespace)
    });
    for namespace in sources.collect::<BTreeSet<_>>() {
        // Whoever may not list them can still test.
        if let Err(failure) = pod_run::remove_stale(cluster, &namespace).await {
            tracing::warn!("{}", failure.message());
        }
    }
}
