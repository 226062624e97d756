//! `kubectl extconn uninstall`: extconn out of the cluster and off its gateway hosts.

mod plan;

use std::time::Duration;

use clap::Args;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams};

use crate::cli::ssh::SshArgs;
use crate::cli::{ConnectorNamespace, YesArg, duration};
use crate::cluster::gateway_hosts::{self, GatewayHost};
use crate::cluster::{Cluster, api, installation, is_not_found};
use crate::failure::Failure;
use crate::helm::{Helm, ReleaseName};
use crate::host::ssh::{MayAsk, Ssh};
use crate::init::UNINSTALL;
use crate::invocation::Invocation;
use crate::prompt;
use crate::status::observe;
use crate::terminal::progress::Step;
use plan::{Planned, Scope, Situation};

/// Arguments of `uninstall`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  # See what would be removed
  kubectl extconn uninstall --dry-run

  # Everything but the CustomResourceDefinitions and your ExternalServices
  kubectl extconn uninstall --yes

  # Only one gateway host
  kubectl extconn uninstall --gateway root@192.168.122.10 --yes

  # Without a trace
  kubectl extconn uninstall --delete-crds --yes")]
pub(crate) struct UninstallArgs {
    /// Only this gateway host, as ssh knows it.
    #[arg(long, value_name = "DESTINATION", value_parser = crate::init::destination, conflicts_with_all = ["keep_gateways", "delete_crds"])]
    gateway: Option<String>,
    /// Leave the gateway hosts as they are.
    #[arg(long)]
    keep_gateways: bool,
    /// Also delete the CustomResourceDefinitions, and with them every ExternalService.
    #[arg(long)]
    delete_crds: bool,
    /// Change nothing: print what would be removed.
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
    let release_name = installation::release(&cluster, &namespace)
        .await?
        .unwrap_or_default();
    let scope = match &args.gateway {
        Some(gateway) => Scope::OneHost(gateway.clone()),
        None => Scope::Everything {
            hosts: !args.keep_gateways,
            crds: args.delete_crds,
        },
    };
    let known = gateway_hosts::list(&cluster, &namespace).await?;
    let helm = Helm::new(&invocation.kubectl, release_name.clone())?;
    let has_release = match &scope {
        Scope::OneHost(_) => false,
        Scope::Everything { .. } => helm.release().await?.is_some(),
    };
    let external_services =
        match observe::external_services(&cluster, &observe::Scope::everywhere()).await {
            Ok(found) => found.len(),
            Err(_) => 0,
        };
    let crds = present_crds(&cluster).await?;
    let steps = plan::plan(&Situation {
        known: &known,
        has_release,
        crds: &crds,
        scope: &scope,
    });
    if steps.is_empty() {
        return terminal.print("Nothing of extconn is there: there is nothing to remove.\n");
    }
    let mut text = format!("{}\n", terminal.answer.strong("Plan"));
    for (number, step) in (1..).zip(&steps) {
        text.push_str(&format!(
            "  {number}. {}\n",
            plan::described(step, external_services)
        ));
    }
    if args.dry_run {
        return terminal.print(&text);
    }
    terminal.say(text.trim_end());
    let prompter = prompt::prompter(terminal, args.yes.yes);
    if !prompter.agree("Remove all this?")? {
        return Err(Failure::failed("nothing was changed"));
    }
    let may_ask = if prompter.is_interactive() {
        MayAsk::Yes
    } else {
        MayAsk::No
    };
    let work = Work {
        invocation,
        cluster,
        helm,
        release_name,
        namespace,
        args,
        may_ask,
    };
    for planned in &steps {
        work.carry_out(planned).await?;
    }
    let left = if crds.is_empty() || work.args.delete_crds || work.args.gateway.is_some() {
        ""
    } else {
        " The CustomResourceDefinitions and your ExternalServices stay; --delete-crds removes them."
    };
    terminal.print(&format!("Done.{left}\n"))
}

struct Work<'a> {
    invocation: &'a Invocation,
    cluster: Cluster,
    helm: Helm,
    release_name: ReleaseName,
    namespace: String,
    args: UninstallArgs,
    may_ask: MayAsk,
}

impl Work<'_> {
    async fn carry_out(&self, planned: &Planned) -> Result<(), Failure> {
        if let Planned::Gateway(host) = planned {
            // No spinner: ssh may ask for a passphrase.
            return self.remove_gateway(host).await;
        }
        let step = Step::begin(self.invocation.terminal, plan::described(planned, 0));
        let done = match planned {
            Planned::Gateway(_) => return Ok(()),
            Planned::Release => self.helm.uninstall(self.args.timeout.as_secs()).await,
            Planned::Crds(names) => self.remove_crds(names).await,
        };
        match done {
            Ok(()) => step.done(&match planned {
                Planned::Crds(_) => "the CustomResourceDefinitions are gone".to_owned(),
                _ => format!(
                    "the release {} is gone from the cluster",
                    self.release_name.name
                ),
            }),
            Err(failure) => {
                step.failed();
                return Err(failure);
            }
        }
        Ok(())
    }

    async fn remove_gateway(&self, host: &GatewayHost) -> Result<(), Failure> {
        let terminal = self.invocation.terminal;
        let login = Ssh::connect(&host.ssh, &self.args.ssh, self.may_ask).await;
        let ssh = login.map_err(|failure| {
            let also = "leave the host as it is with --keep-gateways";
            let next = failure
                .next_step()
                .map_or(also.to_owned(), |next| format!("{next}; or {also}"));
            failure.next(next)
        })?;
        let step = Step::begin(terminal, format!("removing the gateway from {}", host.ssh));
        let said = ssh.script_with("sh -s", UNINSTALL.as_bytes()).await?;
        if !said.ok() {
            step.failed();
            let complaint = said.complaint();
            return Err(Failure::failed(format!(
                "{}: {}",
                host.ssh,
                complaint.trim_start_matches("uninstall.sh: ")
            ))
            .next("correct that on the host, then run this again"));
        }
        gateway_hosts::forget(&self.cluster, &self.namespace, host).await?;
        step.done(&format!("nothing of extconn is left on {}", host.ssh));
        Ok(())
    }

    async fn remove_crds(&self, names: &[String]) -> Result<(), Failure> {
        let crds: Api<CustomResourceDefinition> = Api::all(self.cluster.client.clone());
        for name in names {
            match crds.delete(name, &DeleteParams::foreground()).await {
                Err(error) if !is_not_found(&error) => {
                    return Err(api(format_args!("delete CustomResourceDefinition {name}"))(
                        error,
                    ));
                }
                _ => {}
            }
        }
        let deadline = tokio::time::Instant::now() + self.args.timeout;
        for name in names {
            while crds
                .get_opt(name)
                .await
                .map_err(api(format_args!("read CustomResourceDefinition {name}")))?
                .is_some()
            {
                if tokio::time::Instant::now() >= deadline {
                    return Err(Failure::failed(format!(
                        "CustomResourceDefinition {name} is still being deleted"
                    ))
                    .next(format!(
                        "see which finalizer holds its objects: `kubectl get {name} -A -o yaml`"
                    )));
                }
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        }
        Ok(())
    }
}

/// Names of our CRDs that are there.
async fn present_crds(cluster: &Cluster) -> Result<Vec<String>, Failure> {
    let crds: Api<CustomResourceDefinition> = Api::all(cluster.client.clone());
    let mut names = Vec::new();
    for ours in extconn_api::crds() {
        let name = ours.name_any();
        let found = crds.get_opt(&name).await;
        if found
            .map_err(api(format_args!("read CustomResourceDefinition {name}")))?
            .is_some()
        {
            names.push(name);
        }
    }
    Ok(names)
}
