//! Asks a host or the cluster something, and hears the answer as text.

use anyhow::{Result, bail};

use crate::topology::Host;
use crate::{exec, kubectl_with_input};

/// What a command said when it ended.
#[derive(Clone, Debug)]
pub struct Said {
    /// Whether its exit status was 0.
    pub success: bool,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Said {
    /// The last line that it wrote, to standard error if there is one: the reason of a failure.
    pub fn last_line(&self) -> &str {
        let said = [&self.stderr, &self.stdout];
        let text = said.into_iter().find(|text| !text.trim().is_empty());
        text.and_then(|text| text.trim().lines().last())
            .unwrap_or("no answer")
    }
}

impl From<std::process::Output> for Said {
    fn from(output: std::process::Output) -> Self {
        Self {
            success: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs a command in a host and waits for its end.
///
/// # Errors
/// The host is not up. A command that fails is no error.
pub fn host(on: Host, argv: &[&str]) -> Result<Said> {
    Ok(exec(on, argv)?.into())
}

/// Runs kubectl as the administrator at the workstation; `input` is what it reads.
///
/// # Errors
/// As [`host`].
pub fn cluster(args: &[&str], input: &str) -> Result<Said> {
    Ok(kubectl_with_input(args, input)?.into())
}

/// As [`cluster`], but answers standard output alone.
///
/// # Errors
/// kubectl failed: the error holds what it said.
pub fn cluster_ok(args: &[&str], input: &str) -> Result<String> {
    let said = cluster(args, input)?;
    if !said.success {
        bail!("kubectl {}: {}", args.join(" "), said.stderr.trim());
    }
    Ok(said.stdout)
}
