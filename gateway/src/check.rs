//! `check-config`: what the host file means on this host.

use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use extconn_agent::logs::causes;
use extconn_agent::{client, view};
use extconn_api::Gateway;
use kube::Api;
use kube::api::ListParams;
use tokio::time::timeout;

use crate::addresses::Addresses;
use crate::args::Args;
use crate::host_file::{Assignment, HostFile};
use crate::run::ASSIGNED;
use crate::{credential, host_file};

/// Longest wait for the API server.
const PATIENCE: Duration = Duration::from_secs(5);

/// Prints what the host file and the credential mean.
///
/// Errors if the gateway would not start with them.
pub async fn check(args: &Args) -> anyhow::Result<()> {
    let host = check_host_file(args).await?;
    let (config, token_file) = credential::read(&host.kubeconfig).await?;
    let url = config.cluster_url.clone();
    let answer = match asked(config, &host.connector_namespace).await {
        Ok(()) => "answers".to_owned(),
        // The gateway starts all the same: an API server may be away for a while.
        Err(reason) => format!("DOES NOT ANSWER AS IT SHOULD: {reason}"),
    };
    say(format!("Kubernetes API {url} {answer}"))?;
    say(format!("token          {}", token_file.display()))
}

/// Prints what the host file means, and gives it.
///
/// Errors if the gateway would not start with it.
pub async fn check_host_file(args: &Args) -> anyhow::Result<HostFile> {
    let host = host_file(&args.config)?;
    say(format!("{} is a host file", args.config.display()))?;
    say(format!("namespace      {}", host.connector_namespace))?;
    say(format!(
        "ssh            {}, for forwarders at {}",
        host.ssh_listen, host.ssh_endpoint
    ))?;
    say(format!("probes         http://{}/readyz", host.http_listen))?;
    let networks = host.target_networks.as_ref().map(|networks| {
        let networks: Vec<_> = networks.iter().map(ToString::to_string).collect();
        networks.join(", ")
    });
    say(format!(
        "targets        {}",
        networks.unwrap_or_else(|| "all but this host's own".to_owned())
    ))?;
    let (bell, _) = view::bell();
    let present = Addresses::follow(args.state.join(ASSIGNED), bell)
        .await?
        .present();
    for (ip, assignment) in &host.source_ips {
        let state = match (present.contains(ip), assignment) {
            (true, _) => "is on this host".to_owned(),
            (false, Assignment::Gateway(interface)) => format!("will be assigned to {interface}"),
            (false, Assignment::Administrator) => {
                "is on no interface yet: assign it, or set assignTo".to_owned()
            }
        };
        let reserved = host.reserved.get(ip).map(|namespaces| {
            let namespaces = namespaces.join(", ");
            format!(", reserved for the namespaces {namespaces}")
        });
        say(format!(
            "source IP      {ip} {state}{}",
            reserved.unwrap_or_default()
        ))?;
    }
    Ok(host)
}

fn say(line: String) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}").context("write")
}

/// Asks the API server what the gateway will ask it first.
async fn asked(config: kube::Config, namespace: &str) -> Result<(), String> {
    let client = client::bounded(config).map_err(|e| causes(&e))?;
    let gateways: Api<Gateway> = Api::namespaced(client, namespace);
    let first = ListParams::default().limit(1);
    match timeout(PATIENCE, gateways.list(&first)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(causes(&error)),
        Err(_) => Err(format!("nothing came back in {} s", PATIENCE.as_secs())),
    }
}
