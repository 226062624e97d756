//! The command line. Every flag has an environment variable; `docs/operator.md` lists them.

use std::io::{self, Write};
use std::net::SocketAddr;

use clap::{Args, Parser, Subcommand, ValueEnum};
use extconn_api::names;
use extconn_api::permission::{self, Trust};

use crate::settings::{PodOptions, Settings};

/// Turns ExternalServices into forwarders and tells gateways what to allow.
#[derive(Debug, Parser)]
#[command(name = "extconn-operator", version)]
pub struct Cli {
    /// What to log.
    #[command(flatten)]
    pub logging: Logging,

    /// Namespace of forwarders, their Services, Forwarder and Gateway objects.
    #[arg(long, env = "CONNECTOR_NAMESPACE", default_value = names::CONNECTOR_NAMESPACE, global = true)]
    pub connector_namespace: String,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to log.
#[derive(Debug, Args)]
pub struct Logging {
    /// Which log lines: error, warn, info, debug or trace, also by target: `info,kube=debug`.
    #[arg(long = "log", env = "RUST_LOG", default_value = "info", global = true)]
    pub filter: String,

    /// Form of the log lines.
    #[arg(
        long = "log-format",
        env = "LOG_FORMAT",
        default_value = "text",
        global = true
    )]
    pub format: LogFormat,
}

/// Form of the log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object on each line.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Reconcile until told to stop.
    Run(Box<RunOptions>),
    /// Print the CustomResourceDefinitions as YAML.
    Crd,
    /// Remove everything that the operator has made and release the ExternalServices, so that
    /// they can be deleted without it. For uninstalling.
    Cleanup(CleanupOptions),
}

/// Flags of `run`.
#[derive(Debug, Args)]
pub struct RunOptions {
    /// Name of this process in the Lease by which one operator at a time acts: one that no other
    /// has, and that it keeps when it is restarted in place. A random one if left out.
    #[arg(long, env = "POD_NAME")]
    pub identity: Option<String>,

    /// Image of forwarder pods.
    #[arg(long, env = "FORWARDER_IMAGE")]
    pub forwarder_image: String,

    /// When nodes pull that image.
    #[arg(
        long,
        env = "FORWARDER_IMAGE_PULL_POLICY",
        default_value = "IfNotPresent",
        value_parser = ["Always", "IfNotPresent", "Never"]
    )]
    pub forwarder_image_pull_policy: String,

    /// Secrets of the connector namespace to pull that image with, separated by commas.
    #[arg(long, env = "FORWARDER_IMAGE_PULL_SECRETS", value_delimiter = ',')]
    pub forwarder_image_pull_secrets: Vec<String>,

    /// Forwarder pods for each ExternalService.
    #[arg(long, env = "FORWARDER_REPLICAS", default_value_t = 2)]
    pub forwarder_replicas: u16,

    /// What to add to forwarder pods: a JSON object with labels, annotations, nodeSelector,
    /// tolerations, affinity, topologySpreadConstraints, priorityClassName and resources, each as in
    /// a pod, and each optional.
    #[arg(long, env = "FORWARDER_POD", value_name = "JSON", default_value = "{}")]
    pub forwarder_pod: PodOptions,

    /// Which log lines forwarders write.
    #[arg(long, env = "FORWARDER_LOG", default_value = "info")]
    pub forwarder_log: String,

    /// Form of the log lines of forwarders.
    #[arg(long, env = "FORWARDER_LOG_FORMAT", default_value = "text")]
    pub forwarder_log_format: LogFormat,

    /// Namespaces beside the connector namespace whose ExternalServices may list Services of every
    /// namespace, separated by commas.
    #[arg(long, env = permission::TRUSTED_NAMESPACES, value_delimiter = ',')]
    pub trusted_namespaces: Vec<String>,

    /// ClusterRole that lets a forwarder read EndpointSlices; the operator may bind it.
    #[arg(
        long,
        env = "FORWARDER_CLUSTER_ROLE",
        default_value = "extconn-forwarder-endpointslices"
    )]
    pub forwarder_cluster_role: String,

    /// How many ExternalServices are reconciled at the same time.
    #[arg(long, env = "CONCURRENCY", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    pub concurrency: u16,

    /// Address of `/healthz`, `/readyz` and `/metrics`.
    #[arg(long, env = "HTTP_LISTEN", default_value = "0.0.0.0:8080")]
    pub http_listen: SocketAddr,
}

/// Flags of `cleanup`.
#[derive(Debug, Args)]
pub struct CleanupOptions {
    /// Deployment of the connector namespace to stop first, so that it does not make again what
    /// is being removed.
    #[arg(long, env = "STOP_OPERATOR")]
    pub stop_operator: Option<String>,

    /// How long it may take, in seconds.
    #[arg(long, env = "TIMEOUT_SECONDS", default_value_t = 60)]
    pub timeout_seconds: u64,
}

impl RunOptions {
    /// The settings that these flags come to.
    pub(crate) fn settings(&self, connector_namespace: String) -> Settings {
        let secrets = self
            .forwarder_image_pull_secrets
            .iter()
            .filter(|name| !name.is_empty());
        let trusted = self
            .trusted_namespaces
            .iter()
            .filter(|name| !name.is_empty());
        Settings {
            trust: Trust {
                connector_namespace: connector_namespace.clone(),
                others: trusted.cloned().collect(),
            },
            connector_namespace,
            forwarder_image: self.forwarder_image.clone(),
            image_pull_policy: self.forwarder_image_pull_policy.clone(),
            image_pull_secrets: secrets.cloned().collect(),
            forwarder_replicas: self.forwarder_replicas,
            forwarder_pod: self.forwarder_pod.clone(),
            forwarder_log: self.forwarder_log.clone(),
            forwarder_log_format: match self.forwarder_log_format {
                LogFormat::Text => "text".into(),
                LogFormat::Json => "json".into(),
            },
            endpointslices_role: self.forwarder_cluster_role.clone(),
        }
    }
}

/// Writes the CustomResourceDefinitions, each a YAML document, for `kubectl apply -f -`.
///
/// # Errors
/// If the output cannot be written; a reader that has gone away is no error.
pub fn print_crds(output: &mut impl Write) -> anyhow::Result<()> {
    for crd in extconn_api::crds() {
        let document = format!("---\n{}", serde_yaml::to_string(&crd)?);
        match output.write_all(document.as_bytes()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
            result => result?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_is_documented_with_its_variable_and_default() {
        let document = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operator.md");
        let document = std::fs::read_to_string(document).unwrap();
        let command = Cli::command();
        let subcommands = command.get_subcommands().flat_map(|c| c.get_arguments());
        let mut flags = 0;
        for argument in command.get_arguments().chain(subcommands) {
            let (Some(flag), Some(variable)) = (argument.get_long(), argument.get_env()) else {
                assert!(
                    matches!(argument.get_long(), Some("help" | "version")),
                    "{argument}"
                );
                continue;
            };
            let default = match argument.get_default_values() {
                [] => String::new(),
                values => values[0].to_string_lossy().into_owned(),
            };
            let row = format!("| `--{flag}` | `{}` |", variable.to_string_lossy());
            let line = document.lines().find(|line| line.starts_with(&row));
            assert!(
                line.is_some_and(|line| line.contains(&default)),
                "no row {row} {default}"
            );
            flags += 1;
        }
        let rows = document
            .lines()
            .filter(|line| line.starts_with("| `--"))
            .count();
        assert_eq!(rows, flags, "a flag that does not exist is documented");
    }

    #[test]
    fn crds_are_printed_as_documents() {
        let mut output = vec![];
        print_crds(&mut output).unwrap();
        let text = String::from_utf8(output).unwrap();
        assert_eq!(
            text.matches("---\napiVersion: apiextensions.k8s.io/v1\n")
                .count(),
            extconn_api::crds().len()
        );
    }
}
