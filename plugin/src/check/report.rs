//! Pure: the verdicts together, as `check -o json` gives them.

use serde::Serialize;

use super::snapshot::Snapshot;
use super::{Check, Verdict};

/// The whole answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// Always `CheckReport`.
    kind: &'static str,
    /// Whether no check failed.
    pub success: bool,
    /// One entry for each group, in order.
    pub groups: Vec<GroupReport>,
}

/// The checks of one group.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GroupReport {
    /// Its heading.
    pub name: &'static str,
    /// One entry for each check, in order.
    pub checks: Vec<CheckReport>,
}

/// One check's verdict.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CheckReport {
    /// Its name.
    pub name: &'static str,
    /// `passed`, `warning`, `failed` or `skipped`.
    pub result: Outcome,
    /// What was seen.
    pub message: String,
    /// Why it matters.
    pub why: &'static str,
    /// What to do, unless it passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<&'static str>,
    /// Where it is explained, unless it passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub documentation: Option<String>,
}

/// A verdict without its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// See [`Verdict::Passed`].
    Passed,
    /// See [`Verdict::Warning`].
    Warning,
    /// See [`Verdict::Failed`].
    Failed,
    /// See [`Verdict::Skipped`].
    Skipped,
}

impl Report {
    /// Runs the checks on what was seen.
    pub(crate) fn new(checks: &[&'static Check], seen: &Snapshot) -> Self {
        let mut groups: Vec<GroupReport> = Vec::new();
        for check in checks {
            let report = judge(check, seen);
            match groups.iter_mut().find(|group| group.name == check.group) {
                Some(group) => group.checks.push(report),
                None => groups.push(GroupReport {
                    name: check.group,
                    checks: vec![report],
                }),
            }
        }
        let mut report = Self {
            kind: "CheckReport",
            success: false,
            groups,
        };
        report.success = report.count(Outcome::Failed) == 0;
        report
    }

    /// How many checks ended like this.
    pub(crate) fn count(&self, outcome: Outcome) -> usize {
        self.groups
            .iter()
            .flat_map(|group| &group.checks)
            .filter(|check| check.result == outcome)
            .count()
    }
}

fn judge(check: &'static Check, seen: &Snapshot) -> CheckReport {
    let (result, message) = match (check.run)(seen) {
        Verdict::Passed(message) => (Outcome::Passed, message),
        Verdict::Warning(message) => (Outcome::Warning, message),
        Verdict::Failed(message) => (Outcome::Failed, message),
        Verdict::Skipped(message) => (Outcome::Skipped, message),
    };
    let trouble = matches!(result, Outcome::Warning | Outcome::Failed);
    CheckReport {
        name: check.name,
        result,
        message,
        why: check.why,
        hint: trouble.then_some(check.hint),
        documentation: trouble.then(|| format!("docs/checks.md#{}", check.name)),
    }
}
