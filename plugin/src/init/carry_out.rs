//! Does what was planned, showing progress; each step may be repeated.

use std::fmt::Write;
use std::time::Duration;

use super::drift::ScaledDown;
use super::plan::{Step as Planned, TokenNeed};
use super::{Host, gateway_install, operator, reach, registration};
use crate::cluster::Cluster;
use crate::cluster::gateway_hosts::{self, GatewayHost};
use crate::failure::Failure;
use crate::helm::release::Release;
use crate::helm::{Helm, Values};
use crate::invocation::Invocation;
use crate::terminal::progress::Step;
use crate::terminal::style::Style;
use crate::terminal::wrap;

/// How long clearing away may take after Ctrl-C; a second one ends at once.
const CLEARING: Duration = Duration::from_secs(10);

/// Everything that the steps need.
pub(crate) struct Work {
    pub(super) cluster: Cluster,
    pub(super) helm: Helm,
    pub(super) release: Option<Release>,
    pub(super) scaled_down: Vec<ScaledDown>,
    pub(super) values: Values,
    pub(super) host: Option<Host>,
    pub(super) namespace: String,
    pub(super) timeout: Duration,
}

impl Work {
    /// Does the steps in order, then waits until the gateway has reported to the cluster and pods
    /// reach it. Interrupted, it takes away what only serves this run.
    ///
    /// # Errors
    /// Those of the first step that fails; the steps before it stand.
    pub(crate) async fn carry_out(
        &self,
        invocation: &Invocation,
        steps: &[Planned],
    ) -> Result<(), Failure> {
        let result = invocation
            .interrupt
            .unless(async {
                for planned in steps {
                    let step = Step::begin(invocation.terminal, self.doing(planned));
                    step.ends(self.one(planned, &step)).await?;
                }
                self.prove(invocation).await
            })
            .await;
        if result.as_ref().is_err_and(Failure::is_interrupted) {
            // What cannot be taken away is taken away by the next run.
            let _ = tokio::time::timeout(CLEARING, self.clear()).await;
        }
        result
    }

    /// All is as it was meant to be: the operator runs, the gateway has reported, pods reach it.
    async fn prove(&self, invocation: &Invocation) -> Result<(), Failure> {
        let (terminal, namespace) = (invocation.terminal, &self.namespace);
        let step = Step::begin(terminal, "waiting for the operator");
        let operator = operator::wait(&self.cluster, namespace, &step, self.timeout).await;
        let operator = match operator {
            Ok(operator) => operator,
            Err(failure) => {
                step.failed();
                return Err(failure);
            }
        };
        step.done(&format!("the operator runs in namespace {namespace}"));
        let Some(host) = &self.host else {
            return Ok(());
        };
        let GatewayHost {
            name,
            source_ips,
            ssh_endpoint,
            ..
        } = &host.wanted;
        let step = Step::begin(terminal, format!("waiting for gateway {name}"));
        step.ends(async {
            gateway_install::wait_until_ready(&host.ssh, &step, self.timeout).await?;
            registration::wait(&self.cluster, namespace, source_ips, &step, self.timeout).await?;
            Ok(format!(
                "gateway {name} has reported to the cluster and holds its source IPs"
            ))
        })
        .await?;
        let step = Step::begin(terminal, format!("reaching {ssh_endpoint} from a pod"));
        step.ends(async {
            reach::prove(
                &self.cluster,
                namespace,
                &operator,
                ssh_endpoint,
                &step,
                self.timeout,
            )
            .await?;
            Ok(format!("pods reach the gateway at {ssh_endpoint}"))
        })
        .await
    }

    async fn clear(&self) {
        let _ = reach::clear(&self.cluster, &self.namespace).await;
        if let Some(host) = &self.host {
            let ips = &host.wanted.source_ips;
            let _ = registration::clear(&self.cluster, &self.namespace, ips).await;
            let _ = gateway_install::clear(&host.ssh).await;
        }
    }

    fn doing(&self, planned: &Planned) -> String {
        match planned {
            Planned::RecoverRelease(status) => {
                format!("clearing away the release that was left {status}")
            }
            Planned::InstallChart => "installing extconn with helm".to_owned(),
            Planned::UpgradeChart => "upgrading extconn with helm".to_owned(),
            Planned::RememberHost => "writing down the gateway host".to_owned(),
            Planned::InstallGateway { .. } => "installing the gateway".to_owned(),
        }
    }

    /// Before helm, which would stumble over it.
    async fn scale_up(&self) -> Result<(), Failure> {
        for scaled_down in &self.scaled_down {
            scaled_down.undo(&self.cluster).await?;
        }
        Ok(())
    }

    /// What is so afterwards.
    async fn one(&self, planned: &Planned, step: &Step) -> Result<String, Failure> {
        match planned {
            Planned::RecoverRelease(status) => {
                self.scale_up().await?;
                if let Some(release) = &self.release {
                    self.helm.recover(release).await?;
                }
                Ok(format!(
                    "the release that was left {status} is cleared away"
                ))
            }
            Planned::InstallChart | Planned::UpgradeChart => {
                self.scale_up().await?;
                self.helm
                    .install(&self.values, self.timeout.as_secs())
                    .await?;
                Ok(format!(
                    "extconn is installed in namespace {}",
                    self.namespace
                ))
            }
            Planned::RememberHost => {
                let Some(host) = &self.host else {
                    return Ok(String::new());
                };
                gateway_hosts::remember(&self.cluster, &self.namespace, &host.wanted).await?;
                Ok(format!("gateway host {} is written down", host.wanted.name))
            }
            Planned::InstallGateway { token, .. } => {
                let Some(host) = &self.host else {
                    return Ok(String::new());
                };
                let token = match token {
                    TokenNeed::New => {
                        Some(gateway_install::token(&self.cluster, &self.namespace).await?)
                    }
                    TokenNeed::Keep => None,
                };
                gateway_install::carry_out(&host.ssh, &host.files, token, step).await?;
                Ok(format!("the gateway is installed on {}", host.wanted.name))
            }
        }
    }

    /// Every command and object of the steps, as one would type and apply them.
    ///
    /// # Errors
    /// The values cannot be written to a file.
    pub(crate) async fn dry_run(&self, steps: &[Planned]) -> Result<String, Failure> {
        if steps.is_empty() {
            return Ok("# everything is in place already: there is nothing to change\n".to_owned());
        }
        let mut text = String::new();
        let mut line =
            |line: String| writeln!(text, "{line}").expect("a string takes all that is written");
        for scaled_down in &self.scaled_down {
            line(scaled_down.to_string());
        }
        for planned in steps {
            line(format!(
                "# {}",
                super::plan::described(planned, self.host.as_ref().map(|host| &host.wanted))
            ));
            match (planned, &self.host) {
                (Planned::RecoverRelease(_), _) => {
                    let release = self.release.as_ref();
                    let program = release.and_then(|release| self.helm.recover_program(release));
                    if let Some(program) = program {
                        line(program.to_string());
                    }
                }
                (Planned::InstallChart | Planned::UpgradeChart, _) => {
                    line(
                        self.helm
                            .install_program(&self.values, self.timeout.as_secs())?
                            .to_string(),
                    );
                    line("# which applies these objects:".to_owned());
                    for object in self.helm.objects(&self.values).await?.lines() {
                        line(format!("#   {object}").trim_end().to_owned());
                    }
                }
                (Planned::RememberHost, Some(host)) => {
                    let object = crate::cli::output::yaml(&host.wanted.object(&self.namespace));
                    line(format!(
                        "kubectl apply --server-side -f - <<'EOF'\n{object}EOF"
                    ));
                }
                (Planned::InstallGateway { token, .. }, Some(host)) => {
                    if *token == TokenNeed::New {
                        line(format!(
                            "kubectl create token extconn-gateway -n {} --duration 24h > token",
                            self.namespace
                        ));
                    }
                    line(format!(
                        "cat > gateway.yaml <<'EOF'\n{}EOF",
                        host.files.host_file
                    ));
                    line(format!(
                        "cat > kubeconfig <<'EOF'\n{}EOF",
                        host.files.kubeconfig
                    ));
                    for command in gateway_install::commands(&host.ssh, &host.files, *token) {
                        line(command);
                    }
                }
                (_, None) => {}
            }
            line(String::new());
        }
        Ok(text)
    }

    /// What is so, and what to do next.
    pub(crate) fn farewell(&self, steps: &[Planned], style: Style) -> String {
        let mut text = String::new();
        let changed = if steps.is_empty() {
            "Nothing had to be changed"
        } else {
            "Done"
        };
        match &self.host {
            Some(host) => {
                let ips: Vec<String> = host
                    .wanted
                    .source_ips
                    .iter()
                    .map(ToString::to_string)
                    .collect();
                let _ = writeln!(
                    text,
                    "{changed}: gateway {} offers the source IPs {}.",
                    style.strong(&host.wanted.name),
                    ips.join(", ")
                );
                let _ = writeln!(
                    text,
                    "The cluster must reach {} (TCP).",
                    style.strong(&host.wanted.ssh_endpoint)
                );
                text = wrap::wrap(text.trim_end(), style.width, "");
                let _ = writeln!(text, "\n\nNext:\n  kubectl extconn expose");
            }
            None => {
                let _ = writeln!(
                    text,
                    "{changed}: extconn runs in namespace {}.\n",
                    self.namespace
                );
                let _ = writeln!(text, "Next:\n  kubectl extconn init --gateway USER@HOST");
            }
        }
        text
    }
}
