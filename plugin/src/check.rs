//! `kubectl extconn check`: is all that extconn needs there, and is all of it well?
//!
//! Checks are data: a name, a reason, a hint, and a function from what was seen to a verdict.
//! This file runs them and knows none of them.

mod checks;
#[cfg(test)]
mod reference;
mod render;
mod report;
mod select;
pub(crate) mod snapshot;

use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::cli::output;
use crate::cli::{ConnectorNamespace, duration};
use crate::cluster::Cluster;
use crate::failure::{Exit, Failure};
use crate::invocation::Invocation;
use report::Report;
use snapshot::Snapshot;

/// How often `--wait` looks again.
const LOOK: Duration = Duration::from_secs(1);

/// Arguments of `check`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  # Is everything well?
  kubectl extconn check

  # Can extconn be installed here?
  kubectl extconn check --pre

  # One thing, again until it is well
  kubectl extconn check --only tunnels-up --wait 30s

  # For a script
  kubectl extconn check -o json

Exit status: 0 no check failed (warnings do not count), 1 at least one failed.
docs/checks.md explains each check.")]
pub(crate) struct CheckArgs {
    /// Only what must be so before extconn is installed.
    #[arg(long)]
    pre: bool,
    /// Only this check or group; may be repeated.
    #[arg(long, value_name = "NAME", value_parser = select::name, add = crate::completion::check_names())]
    only: Vec<String>,
    /// Not this check or group; may be repeated.
    #[arg(long, value_name = "NAME", value_parser = select::name, add = crate::completion::check_names())]
    skip: Vec<String>,
    /// Look again until nothing fails, for at most this long.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    wait: Option<Duration>,
    /// Form of the answer: `short` shows only what is not well.
    #[arg(short, long, value_enum, default_value_t)]
    output: Form,
    #[command(flatten)]
    connector: ConnectorNamespace,
}

/// Form of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people.
    #[default]
    Table,
    /// One JSON object.
    Json,
    /// One YAML document.
    Yaml,
    /// For people, without what is well.
    Short,
}

/// When a check makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// Before and after installation.
    Always,
    /// Before installation.
    Before,
    /// After installation.
    After,
}

/// One check. `docs/checks.md` is made of these.
pub(crate) struct Check {
    /// Kebab-case, unique: for `--only`, and the anchor in the documentation.
    pub name: &'static str,
    /// What it belongs to: the heading over it.
    pub group: &'static str,
    /// When it makes sense.
    pub when: When,
    /// Why it matters, as a sentence.
    pub why: &'static str,
    /// What to do if it fails.
    pub hint: &'static str,
    /// The verdict on what was seen.
    pub run: fn(&Snapshot) -> Verdict,
}

/// What a check says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is so, in words.
    Passed(String),
    /// Something to know that is no failure.
    Warning(String),
    /// It is not so: the object, the value.
    Failed(String),
    /// It could not be told, or does not apply.
    Skipped(String),
}

/// The names of all checks and groups, for completion.
pub(crate) fn names() -> Vec<&'static str> {
    select::names()
}

/// Looks, judges, prints.
pub(crate) async fn run(invocation: &Invocation, args: CheckArgs) -> Result<(), Failure> {
    let chosen = select::choose(args.pre, &args.only, &args.skip);
    if chosen.is_empty() {
        let next = if args.pre {
            "leave --pre out: what is left is there only after the installation"
        } else {
            "add --pre: what is left is checked only before an installation; docs/checks.md names all"
        };
        return Err(Failure::usage("--only and --skip leave no check").next(next));
    }
    let cluster = Cluster::connect(&invocation.kubectl).await?;
    let deadline = args.wait.map(|wait| tokio::time::Instant::now() + wait);
    let report = loop {
        let seen = snapshot::take(&cluster, &args.connector).await?;
        let report = Report::new(&chosen, &seen);
        if report.success || deadline.is_none_or(|deadline| tokio::time::Instant::now() >= deadline)
        {
            break report;
        }
        tokio::time::sleep(LOOK).await;
    };
    let style = invocation.terminal.answer;
    invocation.terminal.print(&match args.output {
        Form::Json => output::json(&report),
        Form::Yaml => output::yaml(&report),
        Form::Table => render::table(&report, style, render::Show::Everything),
        Form::Short => render::table(&report, style, render::Show::Trouble),
    })?;
    if report.success {
        Ok(())
    } else {
        Err(Failure::silent(Exit::Failed))
    }
}
