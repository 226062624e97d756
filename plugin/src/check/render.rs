//! Pure: verdicts for people.

use super::report::{CheckReport, Outcome, Report};
use crate::terminal::style::{Mood, Style};
use crate::terminal::wrap;

/// Which checks to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Show {
    /// All.
    Everything,
    /// Warnings and failures.
    Trouble,
}

/// The checks under their groups, and the sum at the end.
pub(crate) fn table(report: &Report, style: Style, show: Show) -> String {
    let mut text = String::new();
    let mut line = |line: &str| {
        text.push_str(&wrap::wrap(line, style.width, "  "));
        text.push('\n');
    };
    for group in &report.groups {
        let shown: Vec<&CheckReport> = group
            .checks
            .iter()
            .filter(|check| is_shown(check, show))
            .collect();
        if shown.is_empty() {
            continue;
        }
        line(&style.strong(group.name));
        for check in shown {
            line(&format!(
                "  {} {}: {}",
                sign(check.result, style),
                check.name,
                check.message
            ));
            if let Some(hint) = check.hint {
                line(&format!("      {} {hint}", style.strong("hint:")));
            }
            if let Some(documentation) = &check.documentation {
                line(&style.faint(&format!("      see {documentation}")));
            }
        }
        line("");
    }
    line(&sum(report, style));
    text
}

fn is_shown(check: &CheckReport, show: Show) -> bool {
    show == Show::Everything || matches!(check.result, Outcome::Warning | Outcome::Failed)
}

fn sign(outcome: Outcome, style: Style) -> String {
    match outcome {
        Outcome::Passed => style.sign(Mood::Good),
        Outcome::Warning => style.sign(Mood::Unsure),
        Outcome::Failed => style.sign(Mood::Bad),
        Outcome::Skipped => style.faint("-"),
    }
}

fn sum(report: &Report, style: Style) -> String {
    let count = |outcome| report.count(outcome);
    let mut parts = vec![format!("{} passed", count(Outcome::Passed))];
    for (outcome, word) in [
        (Outcome::Warning, "with a warning"),
        (Outcome::Failed, "failed"),
        (Outcome::Skipped, "skipped"),
    ] {
        if count(outcome) > 0 {
            parts.push(format!("{} {word}", count(outcome)));
        }
    }
    let mood = match (report.success, count(Outcome::Warning)) {
        (false, _) => Mood::Bad,
        (true, 0) => Mood::Good,
        (true, _) => Mood::Unsure,
    };
    format!("{} {}", style.sign(mood), parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::snapshot::Snapshot;
    use crate::check::{Check, Verdict, When};

    const GOOD: Check = Check {
        name: "good",
        group: "things",
        when: When::Always,
        why: "",
        hint: "",
        run: |_| Verdict::Passed("it is there".into()),
    };
    const BAD: Check = Check {
        name: "bad",
        hint: "make it",
        run: |_| Verdict::Failed("it is not there".into()),
        ..GOOD
    };

    #[test]
    fn a_failure_comes_with_hint_and_anchor_and_fails_the_whole() {
        let report = Report::new(&[&GOOD, &BAD], &Snapshot::default());
        assert!(!report.success);
        assert_eq!(
            table(&report, Style::default(), Show::Everything),
            "things\n  + good: it is there\n  x bad: it is not there\n      hint: make it\n      see docs/checks.md#bad\n\nx 1 passed, 1 failed\n"
        );
    }

    #[test]
    fn short_leaves_out_what_is_well() {
        let report = Report::new(&[&GOOD], &Snapshot::default());
        assert_eq!(
            table(&report, Style::default(), Show::Trouble),
            "+ 1 passed\n"
        );
    }
}
