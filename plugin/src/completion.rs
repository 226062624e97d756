//! Completion: kubectl runs `kubectl_complete-extconn`, which comes back here as `__complete`.
//!
//! The names that only the cluster knows are asked from it, within a short time; whoever cannot
//! reach it gets no names and no error.

mod answer;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use clap::{Args, CommandFactory, FromArgMatches};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use extconn_api::ExternalService;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ListParams};
use kube::{Resource, ResourceExt};

use crate::cli::Cli;
use crate::cli::kubectl_flags::KubectlFlags;
use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::invocation::Invocation;

/// How long the cluster may take to name something.
const PATIENCE: Duration = Duration::from_secs(2);

/// Name under which kubectl looks for a plugin's completion.
const SHIM_NAME: &str = "kubectl_complete-extconn";

/// What kubectl runs.
const SHIM: &str = "#!/bin/sh\n# Completion of `kubectl extconn`: kubectl runs this by its name.\nexec kubectl extconn __complete \"$@\"\n";

/// kubectl's flags as far as they have been typed.
static TYPED: OnceLock<KubectlFlags> = OnceLock::new();

/// Arguments of `completion`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  # Into the folder that holds kubectl-extconn
  kubectl extconn completion --install

  # Elsewhere on your PATH
  kubectl extconn completion > /usr/local/bin/kubectl_complete-extconn
  chmod +x /usr/local/bin/kubectl_complete-extconn

It needs kubectl's own completion in your shell: see `kubectl completion --help`.")]
pub(crate) struct CompletionArgs {
    /// Write the program that kubectl looks for into this folder; the one of kubectl-extconn if no
    /// folder is named.
    #[arg(long, value_name = "FOLDER", num_args = 0..=1)]
    install: Option<Option<PathBuf>>,
}

/// Arguments of `__complete`.
#[derive(Args, Debug)]
pub(crate) struct CompleteArgs {
    /// What has been typed; the last word is the one to complete.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

/// Prints or installs the program that kubectl looks for.
pub(crate) fn run(invocation: &Invocation, args: CompletionArgs) -> Result<(), Failure> {
    let Some(folder) = args.install else {
        return invocation.terminal.print(SHIM);
    };
    let folder = match folder {
        Some(folder) => folder,
        None => folder_of_the_plugin()?,
    };
    let file = folder.join(SHIM_NAME);
    let failed = |error: std::io::Error| {
        Failure::could_not_run(format!("failed to write {}: {error}", file.display()))
            .next("name a folder on your PATH: `kubectl extconn completion --install FOLDER`")
    };
    std::fs::write(&file, SHIM)
        .and_then(|()| make_executable(&file))
        .map_err(failed)?;
    invocation.terminal.print(&format!(
        "Wrote {}: `kubectl extconn <TAB>` completes.\n",
        file.display()
    ))
}

/// The folder on the PATH through which kubectl finds this plugin.
fn folder_of_the_plugin() -> Result<PathBuf, Failure> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .find(|folder| folder.join("kubectl-extconn").is_file())
        .ok_or_else(|| {
            Failure::could_not_run("kubectl-extconn is not on the PATH")
                .next("name a folder: `kubectl extconn completion --install FOLDER`")
        })
}

#[cfg(unix)]
fn make_executable(file: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn make_executable(_: &Path) -> std::io::Result<()> {
    Ok(())
}

/// Answers kubectl.
pub(crate) fn complete(invocation: &Invocation, args: CompleteArgs) -> Result<(), Failure> {
    let mut words = args.words;
    if words.is_empty() {
        words.push(OsString::new());
    }
    let _ = TYPED.set(typed_flags(&words));
    let index = words.len();
    words.insert(0, "kubectl-extconn".into());
    let folder = std::env::current_dir().ok();
    // Flags are offered to who has begun one, as kubectl does.
    let wants_flags = words
        .last()
        .is_some_and(|word| word.to_string_lossy().starts_with('-'));
    let candidates =
        clap_complete::engine::complete(&mut Cli::command(), words, index, folder.as_deref());
    let mut candidates = candidates.unwrap_or_default();
    candidates.retain(|candidate| {
        wants_flags || !candidate.get_value().to_string_lossy().starts_with('-')
    });
    invocation.terminal.print(&answer::cobra(candidates))
}

/// kubectl's flags among the words; whatever else is there may still be incomplete.
fn typed_flags(words: &[OsString]) -> KubectlFlags {
    let flags = KubectlFlags::augment_args(
        clap::Command::new("kubectl-extconn")
            .no_binary_name(true)
            .disable_help_flag(true)
            .ignore_errors(true),
    );
    let known = |word: &OsStr| word.to_string_lossy().starts_with('-');
    // Positional words would be taken for mistakes; a flag's value follows its flag.
    let kept = words
        .iter()
        .zip(std::iter::once(None).chain(words.iter().map(Some)));
    let kept = kept
        .filter(|(word, before)| known(word) || before.is_some_and(|before| known(before)))
        .map(|(word, _)| word);
    let matches = flags.try_get_matches_from(kept);
    matches
        .ok()
        .and_then(|matches| KubectlFlags::from_arg_matches(&matches).ok())
        .unwrap_or_default()
}

/// Completes the name of an ExternalService in the namespace that has been typed.
pub(crate) fn external_service_names() -> ArgValueCompleter {
    completer(|cluster| async move {
        let own: Api<ExternalService> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
        names(own).await
    })
}

/// Completes the name of a namespace.
pub(crate) fn namespace_names() -> ArgValueCompleter {
    completer(|cluster| async move { names(Api::<Namespace>::all(cluster.client.clone())).await })
}

/// Completes the name of a context of the kubeconfig.
pub(crate) fn context_names() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let flags = TYPED.get().cloned().unwrap_or_default();
        fitting(crate::cluster::contexts(&flags), current)
    })
}

/// Completes the name of a check or of a group of checks.
pub(crate) fn check_names() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        fitting(
            crate::check::names()
                .into_iter()
                .map(str::to_owned)
                .collect(),
            current,
        )
    })
}

fn fitting(names: Vec<String>, current: &OsStr) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    names
        .into_iter()
        .filter(|name| name.starts_with(&*current))
        .map(CompletionCandidate::new)
        .collect()
}

/// Asks the cluster in a thread of its own: completers are not async.
fn completer<F>(ask: fn(Cluster) -> F) -> ArgValueCompleter
where
    F: Future<Output = Vec<String>> + Send + 'static,
{
    ArgValueCompleter::new(move |current: &OsStr| {
        let flags = TYPED.get().cloned().unwrap_or_default();
        let asked = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .ok()?;
            let answer = async {
                let cluster = Cluster::connect(&flags).await.ok()?;
                Some(ask(cluster).await)
            };
            runtime.block_on(async { tokio::time::timeout(PATIENCE, answer).await.ok().flatten() })
        });
        fitting(asked.join().ok().flatten().unwrap_or_default(), current)
    })
}

async fn names<K>(api: Api<K>) -> Vec<String>
where
    K: Resource<DynamicType = ()> + Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let list = api.list_metadata(&ListParams::default()).await;
    list.map(|list| list.items.iter().map(ResourceExt::name_any).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(words: &[&str]) -> KubectlFlags {
        typed_flags(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn flags_of_kubectl_are_found_among_unfinished_words() {
        let flags = flags(&["status", "--context", "b", "-n", "ns1", "--wat", ""]);
        assert_eq!(flags.context.as_deref(), Some("b"));
        assert_eq!(flags.namespace.as_deref(), Some("ns1"));
    }

    #[test]
    fn no_flags_are_the_defaults() {
        assert_eq!(flags(&["status", ""]).context, None);
        assert_eq!(
            flags(&[]).request_timeout,
            KubectlFlags::default()
                .request_timeout
                .max(Duration::from_secs(30))
        );
    }
}
