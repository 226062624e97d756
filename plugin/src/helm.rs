//! The chart, and the user's own helm to install it with.

pub(crate) mod release;

use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};
use tempfile::TempDir;

use crate::cli::kubectl_flags::KubectlFlags;
use crate::failure::Failure;
use crate::program::{Input, Program};
use release::Release;

/// The chart of the same version as this plugin.
static CHART: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../chart");

/// Name of the chart: a release of another one is not ours.
pub(crate) const CHART_NAME: &str = "extconn";

/// Name of the release, and the namespace in which helm keeps its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReleaseName {
    /// Name of the release.
    pub name: String,
    /// Namespace of the records, not of what is installed.
    pub namespace: String,
}

impl Default for ReleaseName {
    fn default() -> Self {
        Self {
            name: "extconn".to_owned(),
            namespace: "default".to_owned(),
        }
    }
}

/// What becomes of the chart's own clean-up when the release is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    /// It runs first.
    Runs,
    /// It is left out.
    Skipped,
}

/// helm for one release in one cluster.
pub(crate) struct Helm {
    flags: Vec<String>,
    token: Option<String>,
    release: ReleaseName,
    folder: TempDir,
}

/// The user's values: files first, then single ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Values {
    /// Values that the release has, as YAML; empty for none.
    pub present: String,
    /// Files, in order.
    pub files: Vec<PathBuf>,
    /// `key=value`, in order.
    pub set: Vec<String>,
}

impl Helm {
    /// Unpacks the chart; runs nothing yet.
    ///
    /// # Errors
    /// A flag that helm does not know, or no room for the chart.
    pub(crate) fn new(kubectl: &KubectlFlags, release: ReleaseName) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("extconn-chart-").tempdir();
        let folder = folder
            .map_err(|error| Failure::could_not_run(format!("failed to make a folder: {error}")))?;
        let chart = folder.path().join("chart");
        let unpacked = std::fs::create_dir(&chart).and_then(|()| CHART.extract(&chart));
        unpacked.map_err(|error| {
            Failure::could_not_run(format!("failed to unpack the chart: {error}"))
        })?;
        Ok(Self {
            flags: flags(kubectl)?,
            token: kubectl.token.clone(),
            release,
            folder,
        })
    }

    /// The release as helm knows it; `None` if there is none.
    ///
    /// # Errors
    /// helm is missing, or what it said.
    pub(crate) async fn release(&self) -> Result<Option<Release>, Failure> {
        let said = self
            .program(["status", &self.release.name, "--output", "json"])
            .run(Input::Nothing)
            .await?;
        if said.ok() {
            let release = release::parse(&said.stdout);
            return release
                .map(Some)
                .map_err(|error| Failure::failed(format!("failed to understand helm: {error}")));
        }
        if release::is_unknown(&said.stderr) {
            return Ok(None);
        }
        let ReleaseName { name, namespace } = &self.release;
        let next = if release::is_damaged(&said.stderr) {
            format!(
                "helm's own record is damaged: delete it with `kubectl -n {namespace} delete secret -l owner=helm,name={name}`, and run `kubectl extconn init`, which takes over what is in the cluster"
            )
        } else {
            format!("make `{}` work", self.program(["status", name]))
        };
        Err(Failure::could_not_run(format!("helm status: {}", said.error_text())).next(next))
    }

    /// Name of the release.
    pub(crate) fn release_name(&self) -> &ReleaseName {
        &self.release
    }

    /// Name of the chart that the release was made of.
    ///
    /// # Errors
    /// What helm said.
    pub(crate) async fn chart_of_release(&self) -> Result<String, Failure> {
        let name = &self.release.name;
        let said = self
            .run(["get", "metadata", name, "--output", "json"])
            .await?;
        release::chart(&said)
            .map_err(|error| Failure::failed(format!("failed to understand helm: {error}")))
    }

    /// Values that the user gave the release, as YAML; those of the revision before if that is the
    /// one that [`Helm::recover`] goes back to.
    ///
    /// # Errors
    /// What helm said.
    pub(crate) async fn values(&self, release: &Release) -> Result<String, Failure> {
        let revision = match release.recovery() {
            release::Recovery::Rollback => release.revision - 1,
            _ => release.revision,
        };
        let revision = format!("--revision={revision}");
        let name = &self.release.name;
        let said = self
            .run(["get", "values", name, "--output", "yaml", &revision])
            .await?;
        Ok(if said.trim() == "null" {
            String::new()
        } else {
            said
        })
    }

    /// The objects of the release as helm applied them, as YAML documents.
    ///
    /// # Errors
    /// What helm said.
    pub(crate) async fn manifest(&self) -> Result<String, Failure> {
        self.run(["get", "manifest", &self.release.name]).await
    }

    /// Whether the objects of a release are those of this chart with these values.
    ///
    /// # Errors
    /// What helm said.
    pub(crate) async fn is_current(
        &self,
        manifest: &str,
        values: &Values,
    ) -> Result<bool, Failure> {
        let wanted = self.rendered(values, &["--no-hooks"]).await?;
        Ok(release::same_objects(manifest, &wanted))
    }

    /// The objects of this chart with these values, as YAML documents.
    ///
    /// # Errors
    /// What helm said.
    pub(crate) async fn objects(&self, values: &Values) -> Result<String, Failure> {
        self.rendered(values, &[]).await
    }

    async fn rendered(&self, values: &Values, flags: &[&str]) -> Result<String, Failure> {
        let mut template = vec![
            "template".to_owned(),
            self.release.name.clone(),
            self.chart(),
            "--dry-run=server".to_owned(),
        ];
        template.extend(flags.iter().map(|flag| (*flag).to_owned()));
        template.extend(self.value_flags(values)?);
        self.run(template).await
    }

    /// Installs or upgrades. The operator may still be starting: helm could only wait for it, and
    /// not say what it waits for.
    ///
    /// # Errors
    /// What helm said.
    pub(crate) async fn install(
        &self,
        values: &Values,
        timeout_seconds: u64,
    ) -> Result<(), Failure> {
        let said = self
            .install_program(values, timeout_seconds)?
            .run(Input::Nothing)
            .await?;
        if said.ok() {
            return Ok(());
        }
        Err(Failure::failed(format!("helm: {}", said.error_text())).next(format!(
            "`kubectl extconn check` looks for the cause; `{}` shows the release; then run this again",
            self.program(["status", &self.release.name])
        )))
    }

    /// The command that [`Helm::install`] runs.
    ///
    /// # Errors
    /// The values cannot be written to a file.
    pub(crate) fn install_program(
        &self,
        values: &Values,
        timeout_seconds: u64,
    ) -> Result<Program, Failure> {
        let mut args = vec![
            "upgrade".to_owned(),
            "--install".to_owned(),
            self.release.name.clone(),
            self.chart(),
        ];
        args.extend(self.value_flags(values)?);
        args.push(format!("--timeout={timeout_seconds}s"));
        Ok(self.program(args))
    }

    /// Removes the release; fine if there is none.
    ///
    /// # Errors
    /// What helm said, or the release is still there. A failure without a next step is one whose
    /// cause helm does not know.
    pub(crate) async fn uninstall(&self, hook: Hook, timeout_seconds: u64) -> Result<(), Failure> {
        let said = self
            .uninstall_program(hook, timeout_seconds)
            .run(Input::Nothing)
            .await?;
        if !said.ok() && !release::is_unknown(&said.stderr) {
            return Err(Failure::failed(format!("helm: {}", said.error_text())));
        }
        // helm ignores all that keeps it from reading its records, not only that there are none.
        match self.release().await? {
            None => Ok(()),
            Some(left) => Err(Failure::failed(format!(
                "helm still has the release {}, which is {}",
                self.release.name, left.status
            ))
            .next("run this again: it goes on where it stopped")),
        }
    }

    /// The command that [`Helm::uninstall`] runs.
    pub(crate) fn uninstall_program(&self, hook: Hook, timeout_seconds: u64) -> Program {
        let mut args = vec!["uninstall".to_owned(), self.release.name.clone()];
        args.extend((hook == Hook::Skipped).then(|| "--no-hooks".to_owned()));
        args.extend(["--wait", "--ignore-not-found"].map(str::to_owned));
        args.push(format!("--timeout={timeout_seconds}s"));
        self.program(args)
    }

    /// Takes back an uninstallation that was stopped before it removed anything.
    ///
    /// # Errors
    /// What helm said.
    pub(crate) async fn reinstate(&self, release: &Release) -> Result<(), Failure> {
        Self::said(self.reinstate_program(release)).await.map(drop)
    }

    fn reinstate_program(&self, release: &Release) -> Program {
        let revision = release.revision.to_string();
        self.program(["rollback", &self.release.name, &revision])
    }

    /// Gets a release out of a state in which an interrupted helm left it.
    ///
    /// # Errors
    /// What helm said.
    pub(crate) async fn recover(&self, release: &Release) -> Result<(), Failure> {
        match self.recover_program(release) {
            Some(program) => Self::said(program).await.map(drop),
            None => Ok(()),
        }
    }

    /// The command that [`Helm::recover`] runs.
    pub(crate) fn recover_program(&self, release: &Release) -> Option<Program> {
        let name = &self.release.name;
        match release.recovery() {
            release::Recovery::None => None,
            release::Recovery::Rollback => Some(self.program(["rollback", name])),
            release::Recovery::Reinstate => Some(self.reinstate_program(release)),
            release::Recovery::Uninstall => {
                Some(self.program(["uninstall", name, "--no-hooks", "--wait"]))
            }
        }
    }

    fn chart(&self) -> String {
        self.folder.path().join("chart").display().to_string()
    }

    fn value_flags(&self, values: &Values) -> Result<Vec<String>, Failure> {
        let mut args = Vec::new();
        if !values.present.is_empty() {
            let file = self.folder.path().join("present.yaml");
            let written = std::fs::write(&file, &values.present);
            written.map_err(|error| {
                Failure::could_not_run(format!("failed to write the values: {error}"))
            })?;
            args.push(format!("--values={}", file.display()));
        }
        args.extend(
            values
                .files
                .iter()
                .map(|file: &PathBuf| format!("--values={}", Path::display(file))),
        );
        args.extend(values.set.iter().map(|set| format!("--set={set}")));
        Ok(args)
    }

    fn program<S: AsRef<str>>(&self, args: impl IntoIterator<Item = S>) -> Program {
        let namespace = format!("--namespace={}", self.release.namespace);
        let program = Program::new("helm")
            .args(args)
            .args([namespace])
            .args(&self.flags);
        match &self.token {
            Some(token) => program.env("HELM_KUBETOKEN", token),
            None => program,
        }
    }

    async fn run<S: AsRef<str>>(
        &self,
        args: impl IntoIterator<Item = S>,
    ) -> Result<String, Failure> {
        Self::said(self.program(args)).await
    }

    async fn said(program: Program) -> Result<String, Failure> {
        let said = program.run(Input::Nothing).await?;
        if said.ok() {
            return Ok(said.stdout);
        }
        Err(Failure::failed(format!("helm: {}", said.error_text()))
            .next(format!("make `{program}` work")))
    }
}

/// kubectl's flags under helm's names.
fn flags(kubectl: &KubectlFlags) -> Result<Vec<String>, Failure> {
    let unknown = [
        ("--cluster", kubectl.cluster.is_some()),
        ("--user", kubectl.user.is_some()),
        ("--client-certificate", kubectl.client_certificate.is_some()),
        ("--client-key", kubectl.client_key.is_some()),
        ("--as-uid", kubectl.impersonate_uid.is_some()),
    ];
    if let Some((flag, _)) = unknown.iter().find(|(_, given)| *given) {
        return Err(Failure::usage(format!(
            "helm, which installs the chart, does not know {flag}"
        ))
        .next("put it into a kubeconfig and name that with --kubeconfig"));
    }
    let path = |path: &PathBuf| path.display().to_string();
    let mut flags = Vec::new();
    let mut give = |name: &str, value: Option<String>| {
        flags.extend(value.map(|value| format!("--{name}={value}")))
    };
    give("kubeconfig", kubectl.kubeconfig.as_ref().map(path));
    give("kube-context", kubectl.context.clone());
    give("kube-apiserver", kubectl.server.clone());
    give("kube-as-user", kubectl.impersonate.clone());
    give(
        "kube-ca-file",
        kubectl.certificate_authority.as_ref().map(path),
    );
    give("kube-tls-server-name", kubectl.tls_server_name.clone());
    for group in &kubectl.impersonate_groups {
        give("kube-as-group", Some(group.clone()));
    }
    if kubectl.insecure_skip_tls_verify {
        flags.push("--kube-insecure-skip-tls-verify".to_owned());
    }
    Ok(flags)
}
