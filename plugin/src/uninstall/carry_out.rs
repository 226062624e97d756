//! Removes what was planned, showing progress; each step may be repeated.

use super::plan::{Planned, Scope, described};
use super::surroundings::Surroundings;
use super::{UninstallArgs, crds, gateway, orphans, release};
use crate::cluster::Cluster;
use crate::cluster::gateway_hosts::GatewayHost;
use crate::failure::Failure;
use crate::helm::Helm;
use crate::host::ssh::MayAsk;
use crate::invocation::Invocation;
use crate::program::quoted;
use crate::terminal::progress::Step;

/// Everything that the steps need.
pub(super) struct Work<'a> {
    pub(super) invocation: &'a Invocation,
    pub(super) cluster: Cluster,
    pub(super) helm: Helm,
    pub(super) namespace: String,
    pub(super) found: Surroundings,
    pub(super) scope: Scope,
    pub(super) args: UninstallArgs,
    pub(super) may_ask: MayAsk,
}

impl Work<'_> {
    /// Does one step.
    ///
    /// # Errors
    /// What kept it from being done; the steps before it stand.
    pub(super) async fn carry_out(&self, planned: &Planned) -> Result<(), Failure> {
        if let Planned::Gateway { ssh, note } = planned {
            // No spinner: ssh may ask for a passphrase.
            return gateway::remove(self, ssh, note.as_ref()).await;
        }
        let step = Step::begin(self.invocation.terminal, described(planned));
        step.ends(self.one(planned, &step)).await
    }

    /// What is so afterwards.
    async fn one(&self, planned: &Planned, step: &Step) -> Result<String, Failure> {
        match planned {
            Planned::Gateway { .. } => Ok(String::new()),
            Planned::Note(host) => {
                gateway::forget(self, Some(host)).await?;
                Ok(format!("gateway host {} is forgotten", host.name))
            }
            Planned::Orphans(_) => {
                orphans::release(&self.cluster).await?;
                Ok("no ExternalService waits for an operator".to_owned())
            }
            Planned::Release(hook, _) => {
                release::remove(self, *hook, step).await?;
                let name = &self.helm.release_name().name;
                Ok(format!("the release {name} is gone from the cluster"))
            }
            Planned::Crds(names, _) => {
                crds::remove(&self.cluster, names, self.args.timeout).await?;
                Ok("the CustomResourceDefinitions are gone".to_owned())
            }
        }
    }

    /// The commands of the steps, as one would type them.
    pub(super) fn dry_run(&self, steps: &[Planned]) -> String {
        let commands = steps.iter().flat_map(|planned| self.commands(planned));
        commands.map(|command| command + "\n").collect()
    }

    fn commands(&self, planned: &Planned) -> Vec<String> {
        let forget = |host: &GatewayHost| {
            format!(
                "kubectl delete configmap {} -n {}",
                host.object_name(),
                self.namespace
            )
        };
        match planned {
            Planned::Gateway { ssh, note } => {
                let script = format!("ssh {} sh -s < uninstall.sh", quoted(ssh));
                [script]
                    .into_iter()
                    .chain(note.as_ref().map(forget))
                    .collect()
            }
            Planned::Note(host) => vec![forget(host)],
            Planned::Orphans(_) => vec![format!(
                "kubectl patch extsvc NAME -n NAMESPACE --type=merge -p '{}'  # each one",
                r#"{"metadata":{"finalizers":null}}"#
            )],
            Planned::Release(hook, _) => {
                let seconds = self.args.timeout.as_secs();
                vec![self.helm.uninstall_program(*hook, seconds).to_string()]
            }
            Planned::Crds(names, _) => vec![format!("kubectl delete crd {}", names.join(" "))],
        }
    }
}
