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
    /// Why it failed, in the fewest words: the end of the first line that it wrote, `connection
    /// refused` of `get …: dial …: connect: connection refused`.
    pub fn reason(&self) -> &str {
        let line = self
            .stderr
            .lines()
            .chain(self.stdout.lines())
            .find(|line| !line.is_empty());
        line.and_then(|line| line.rsplit(": ").next())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_last_clause_of_the_first_line() {
        let said = Said {
            success: false,
            stdout: String::new(),
            stderr: "witness: Get \"http://a:80/\": read tcp 1.2.3.4:5: connection reset by peer\n\
                     command terminated with exit code 1\n"
                .into(),
        };
        assert_eq!(said.reason(), "connection reset by peer");
    }
}
