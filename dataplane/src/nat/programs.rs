//! The programs of iptables: which ones this host uses, and running them. No shell in between.

use std::io::ErrorKind;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use super::NatError;
use super::ruleset::Table;
use super::saved::Saved;

/// Seconds to wait for another program that holds iptables' lock.
const LOCK_SECONDS: &str = "5";
/// Time after which a program is taken for stuck.
const RUN_TIMEOUT: Duration = Duration::from_secs(20);

/// What writes a host's rules into the kernel. A host should use one only: each sees its own rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackEnd {
    /// What the `iptables` command of the host stands for.
    HostDefault,
    /// nf_tables, as on most systems.
    Nft,
    /// The older one.
    Legacy,
}

impl BackEnd {
    fn iptables(self) -> &'static str {
        match self {
            Self::HostDefault => "iptables",
            Self::Nft => "iptables-nft",
            Self::Legacy => "iptables-legacy",
        }
    }

    /// The one to use when nobody says: the host's default, unless all its NAT rules are in the
    /// other one.
    pub(crate) async fn probe() -> Self {
        let rules = async |back_end: Self| {
            let saved = back_end.run_save(Table::Nat).await;
            saved.is_ok_and(|text| text.lines().any(|line| line.starts_with("-A ")))
        };
        match Self::probe_other().await {
            Some(other) if !rules(Self::HostDefault).await && rules(other).await => other,
            _ => Self::HostDefault,
        }
    }

    /// The one that is not the host's default, if it may have rules.
    pub(super) async fn probe_other() -> Option<Self> {
        let version = run("iptables", &["--version"], None).await.ok()?;
        if String::from_utf8_lossy(&version.stdout).contains("legacy") {
            return Some(Self::Nft);
        }
        // Asking the older one would load its modules.
        legacy_is_in_use().then_some(Self::Legacy)
    }

    /// What is ours of the host's rules.
    ///
    /// # Errors
    /// `iptables-save` failed.
    pub(crate) async fn saved(self) -> Result<Saved, NatError> {
        let [nat, filter] = Table::ALL.map(|table| self.run_save(table));
        let (nat, filter) = tokio::try_join!(nat, filter)?;
        Ok(Saved::parse(&(nat + &filter)))
    }

    async fn run_save(self, table: Table) -> Result<String, NatError> {
        let program = format!("{}-save", self.iptables());
        let output = run(&program, &["-t", table.name()], None).await?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Writes a transaction: all of it or nothing.
    ///
    /// # Errors
    /// `iptables-restore` failed; no table is half-written.
    pub(crate) async fn restore(self, transaction: String) -> Result<(), NatError> {
        let program = format!("{}-restore", self.iptables());
        let arguments = ["--noflush", "-w", LOCK_SECONDS];
        run(&program, &arguments, Some(transaction)).await.map(drop)
    }
}

/// Whether the older back end has tables in this network namespace.
fn legacy_is_in_use() -> bool {
    let tables = std::fs::read_to_string(Path::new("/proc/thread-self/net/ip_tables_names"));
    tables.is_ok_and(|tables| tables.lines().any(|table| table == Table::Nat.name()))
}

async fn run(program: &str, arguments: &[&str], input: Option<String>) -> Result<Output, NatError> {
    let failed = |reason: String| NatError::Command {
        program: program.to_owned(),
        reason,
    };
    let running = async {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(if input.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
            stdin.write_all(input.as_bytes()).await?;
        }
        child.wait_with_output().await
    };
    let output = timeout(RUN_TIMEOUT, running)
        .await
        .map_err(|_| failed(format!("it took longer than {} s", RUN_TIMEOUT.as_secs())))?
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => NatError::NotInstalled {
                program: program.to_owned(),
            },
            _ => failed(error.to_string()),
        })?;
    if output.status.success() {
        return Ok(output);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(failed(format!("{}: {}", output.status, stderr.trim())))
}
