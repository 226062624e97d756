//! The cluster: a client from kubectl's flags, and answers in the user's words.

pub(crate) mod api_server;
pub(crate) mod gateway_hosts;
pub(crate) mod installation;
pub(crate) mod kubeconfig;
pub(crate) mod permissions;
pub(crate) mod pods;

use std::fmt::Display;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::cli::kubectl_flags::KubectlFlags;
use crate::failure::{Failure, with_causes};

/// How long the API server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Name under which this plugin writes objects: its field manager and the value of
/// `app.kubernetes.io/managed-by`.
pub(crate) const FIELD_MANAGER: &str = "kubectl-extconn";

/// A cluster that answers, or at least one whose kubeconfig makes sense.
#[derive(Clone)]
pub(crate) struct Cluster {
    /// Client with time-outs on every request.
    pub client: Client,
    /// What the client was made from.
    pub config: Config,
    /// Namespace to use where the user names none.
    pub namespace: String,
}

impl Cluster {
    /// Makes a client and asks the cluster for its version, so that a cluster that is away is told
    /// by its address.
    ///
    /// # Errors
    /// What is wrong with the kubeconfig or the flags, or why the cluster does not answer.
    pub(crate) async fn connect(flags: &KubectlFlags) -> Result<Self, Failure> {
        let mut config = load(flags).await?;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        config.read_timeout = (!flags.request_timeout.is_zero()).then_some(flags.request_timeout);
        config.reset_reader_on_write = true;
        // A person waits: an API server that is overloaded or away is told at once.
        config.default_retry = false;
        let cluster = Self::new(config, flags)?;
        match cluster.client.apiserver_version().await {
            // Who may not read the version may still do what the command is about.
            Err(error) if !matches!(error, kube::Error::Api(_)) => Err(explain(&error)
                .while_trying_to(format_args!("reach the API server at {}", cluster.server()))),
            _ => Ok(cluster),
        }
    }

    /// The same cluster without a limit on how long an answer may take, for logs and tunnels.
    ///
    /// # Errors
    /// As [`Cluster::connect`].
    pub(crate) fn unhurried(&self, flags: &KubectlFlags) -> Result<Self, Failure> {
        let mut config = self.config.clone();
        config.read_timeout = None;
        Self::new(config, flags)
    }

    fn new(config: Config, flags: &KubectlFlags) -> Result<Self, Failure> {
        let namespace = flags
            .namespace
            .clone()
            .unwrap_or_else(|| config.default_namespace.clone());
        let client =
            Client::try_from(config.clone()).map_err(api("make a client for the API server"))?;
        Ok(Self {
            client,
            config,
            namespace,
        })
    }

    /// Address of the API server as this machine reaches it.
    pub(crate) fn server(&self) -> String {
        self.config
            .cluster_url
            .to_string()
            .trim_end_matches('/')
            .to_owned()
    }
}

/// Names of the contexts that the user can choose from, the current one first; none if there is no
/// kubeconfig.
pub(crate) fn contexts(flags: &KubectlFlags) -> Vec<String> {
    let kubeconfig = read(flags).ok().flatten().unwrap_or_default();
    let current = kubeconfig.current_context;
    let contexts = kubeconfig.contexts.into_iter();
    let mut names: Vec<String> = contexts.map(|context| context.name).collect();
    names.sort_by_key(|name| current.as_ref() != Some(name));
    names
}

fn read(flags: &KubectlFlags) -> Result<Option<Kubeconfig>, Failure> {
    match &flags.kubeconfig {
        Some(path) => Kubeconfig::read_from(path).map(Some),
        None => match Kubeconfig::from_env() {
            Ok(None) => match default_path() {
                Some(path) => Kubeconfig::read_from(path).map(Some),
                None => Ok(None),
            },
            found => found,
        },
    }
    .map_err(|error| {
        Failure::could_not_run(format!(
            "failed to read the kubeconfig: {}",
            with_causes(&error)
        ))
        .next("name another file with --kubeconfig, or set KUBECONFIG")
    })
}

async fn load(flags: &KubectlFlags) -> Result<Config, Failure> {
    let kubeconfig = read(flags)?;
    let Some(kubeconfig) = kubeconfig.or_else(|| flags.server.is_some().then(Kubeconfig::default))
    else {
        return Config::incluster().map_err(|_| {
            Failure::could_not_run(
                "there is no kubeconfig: neither $KUBECONFIG nor ~/.kube/config names a file",
            )
            .next("set KUBECONFIG, or name a file with --kubeconfig")
        });
    };
    let kubeconfig = kubeconfig::with_flags(kubeconfig, flags)?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(|error| {
            Failure::could_not_run(format!(
                "failed to use the kubeconfig: {}",
                with_causes(&error)
            ))
            .next("see `kubectl config get-contexts` for what it holds")
        })
}

/// The file that kubectl falls back to, if it is there.
fn default_path() -> Option<std::path::PathBuf> {
    let path = std::env::home_dir()?.join(".kube").join("config");
    path.is_file().then_some(path)
}

/// Turns an answer of the API server into what the user is told: `failed to {action}: …`.
pub(crate) fn api(action: impl Display) -> impl FnOnce(kube::Error) -> Failure {
    move |error| explain(&error).while_trying_to(action)
}

/// Whether the object, or the kind itself, is not there.
pub(crate) fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// Whether the user may not do this.
pub(crate) fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403)
}

/// Whether the object has changed since it was read.
pub(crate) fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

fn explain(error: &kube::Error) -> Failure {
    match error {
        kube::Error::Api(status) => {
            let failure = match status.code {
                401 | 403 | 404 | 429 | 501.. => Failure::could_not_run(status.message.clone()),
                _ => Failure::failed(status.message.clone()),
            };
            match status.code {
                401 => failure.next("log in again, or name another user with --user"),
                // Quotas and admission say so too, and no permission helps.
                403 if status.message.contains("cannot ") => failure.next("ask a cluster administrator for the verb and resource named above, or use --as"),
                _ => failure,
            }
        }
        other => {
            let cause = with_causes(other);
            let cause = cause
                .trim_start_matches("ServiceError: ")
                .trim_start_matches("HyperError: ");
            Failure::could_not_run(cause)
                .next("see whether `kubectl version` gets an answer; --context and --kubeconfig choose the cluster")
        }
    }
}
