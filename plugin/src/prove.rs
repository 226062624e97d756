//! `kubectl extconn test`: proves the path hop by hop, and says which hop fails and why.
//!
//! Nothing is called proven that was not seen: see [`hop`].

pub(crate) mod dialled;
#[cfg(test)]
mod fixtures;
mod hop;
mod in_front;
mod objects;
mod observe;
pub(crate) mod pod_run;
pub(crate) mod probe_pod;
mod render;
mod replica;
mod rules;
mod seen;
mod source;
mod target;
mod tunnels;
mod watch;
mod way_in;

use std::collections::BTreeSet;
use std::time::Duration;

use clap::{Args, ValueEnum};
use extconn_api::ExternalService;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::Api;

use crate::cli::ssh::SshArgs;
use crate::cli::{ConnectorNamespace, duration, output};
use crate::cluster::gateway_hosts::{self, GatewayHost};
use crate::cluster::{Cluster, installation};
use crate::expose::service_key;
use crate::failure::{Exit, Failure};
use crate::host::ssh::{MayAsk, Ssh};
use crate::invocation::Invocation;
use crate::status::observe as status_observe;
use crate::terminal::progress::Step;
use hop::{Hop, Outcome, PathReport, Stretch, TestReport};
use observe::Observed;
use way_in::Tables;

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
    #[arg(long, value_name = "PATH")]
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

/// What the user asked for.
pub(crate) struct Asked<'a> {
    egress: bool,
    ingress: bool,
    echo: Option<&'a str>,
    gateway_ssh: bool,
    pod: bool,
    timeout: Duration,
    /// Login on the target, if the user lent one.
    target: Option<Ssh>,
    /// How to run ssh.
    pub(crate) ssh: &'a SshArgs,
    /// Whether ssh may ask.
    pub(crate) may_ask: MayAsk,
    /// Value of the label on everything that this run makes.
    run: String,
}

/// Proves, prints, and takes away what it made, also when interrupted.
pub(crate) async fn run(invocation: &Invocation, args: TestArgs) -> Result<(), Failure> {
    let cluster = Cluster::connect(&invocation.kubectl).await?;
    let may_ask = if invocation.terminal.can_ask {
        MayAsk::Yes
    } else {
        MayAsk::No
    };
    let target = match &args.target_ssh {
        Some(destination) => {
            let login = Ssh::log_in(destination, &args.ssh, may_ask);
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
    };
    let scope = status_observe::Scope {
        namespace: (!args.all_namespaces).then(|| cluster.namespace.clone()),
        name: args.name.clone(),
    };
    let found = status_observe::external_services(&cluster, &scope).await?;
    if found.is_empty() {
        return Err(Failure::failed("there is no ExternalService to test")
            .next("make one with `kubectl extconn expose`"));
    }
    let namespaces: BTreeSet<String> = found
        .iter()
        .flat_map(|es| {
            es.spec
                .sources
                .iter()
                .map(|source| service_key(es, source).namespace)
        })
        .collect();
    if asked.pod && asked.egress {
        for namespace in &namespaces {
            // Whoever may not list them can still test.
            if let Err(failure) = pod_run::remove_stale(&cluster, namespace).await {
                tracing::warn!("{}", failure.message());
            }
        }
    }
    let result = invocation
        .interrupt
        .unless(prove_all(invocation, &args, &asked, &cluster, found))
        .await;
    if asked.pod && asked.egress {
        for namespace in &namespaces {
            if let Err(failure) = pod_run::remove(&cluster, namespace, &asked.run).await {
                invocation.terminal.complain(&failure);
            }
        }
    }
    let report = result?;
    invocation.terminal.print(&match args.output {
        Form::Table => render::table(&report, invocation.terminal.answer),
        Form::Json => output::json(&report),
        Form::Junit => render::junit(&report),
    })?;
    if report.success {
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
    let connector = installation::connector_namespace(cluster, &args.connector).await?;
    let known = gateway_hosts::list(cluster, &connector).await?;
    let mut paths = Vec::new();
    for object in found {
        let seen = observe::observe(cluster, &connector, object).await?;
        paths.push(prove(invocation, asked, cluster, &known, &seen).await?);
    }
    Ok(TestReport::new(paths))
}

async fn prove(
    invocation: &Invocation,
    asked: &Asked<'_>,
    cluster: &Cluster,
    known: &[GatewayHost],
    seen: &Observed,
) -> Result<PathReport, Failure> {
    let object = &seen.external_service;
    let name = format!(
        "{}/{}",
        object.namespace().unwrap_or_default(),
        object.name_any()
    );
    let ingress = asked.ingress && object.spec.bidirectional;
    let pods: Api<Pod> = Api::namespaced(
        cluster.unhurried(&invocation.kubectl)?.client,
        &seen.connector_namespace,
    );
    let attempts = if asked.egress {
        let step = Step::begin(
            invocation.terminal,
            format!("{name}: from the gateways to {}", object.spec.target_ip),
        );
        source::attempts(&pods, seen).await.inspect(|_| drop(step))
    } else {
        None
    };
    let tables: Option<Tables> = if ingress && asked.gateway_ssh {
        Some(way_in::tables(asked, known, seen).await)
    } else {
        None
    };
    let mut stretches = vec![Stretch {
        title: name.clone(),
        hops: objects::shared(seen),
    }];
    for (index, source) in object.spec.sources.iter().enumerate() {
        let service = service_key(object, source);
        let title = format!("{service} as {}", source.source_ip);
        let step = Step::begin(invocation.terminal, format!("{name}: {title}"));
        let mut hops = objects::of_source(seen, index);
        if let Some(attempts) = &attempts {
            hops.extend(target::hops(&source.source_ip, attempts));
        }
        if asked.egress {
            hops.extend(source::from_a_pod(asked, cluster, &pods, seen, index, &hops, &step).await);
        }
        if ingress {
            for way in way_in::ways(seen, index) {
                let from_target = match &asked.target {
                    Some(target) => way_in::from_target(target, &way).await,
                    None => Hop::not_asked(
                        "from-target",
                        format!("{}:{}", way.source_ip, way.port),
                        "--target-ssh DESTINATION connects from the external server",
                    ),
                };
                let mut rule = way_in::rule_hop(&way, tables.as_ref());
                if rule.outcome == Outcome::NotProven && from_target.outcome == Outcome::Proven {
                    rule = Hop::proven(
                        "nat-rule",
                        rule.of,
                        "a connection from the target got through",
                    );
                }
                hops.extend([rule, from_target]);
            }
        }
        drop(step);
        stretches.push(Stretch { title, hops });
    }
    Ok(PathReport::new(name, stretches))
}
