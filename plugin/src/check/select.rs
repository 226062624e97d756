//! Pure: which checks to run.

use super::checks::ALL;
use super::{Check, When};

/// Names of all checks and of their groups, which both `--only` and `--skip` take.
pub(crate) fn names() -> Vec<&'static str> {
    let mut names: Vec<&str> = ALL.iter().map(|check| check.name).collect();
    for check in ALL {
        if !names.contains(&check.group) {
            names.push(check.group);
        }
    }
    names
}

/// Checks that a name is one of [`names`].
///
/// # Errors
/// All the names.
pub(crate) fn name(text: &str) -> Result<String, String> {
    if names().contains(&text) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "there is no check or group {text:?}; there are {}",
            names().join(", ")
        ))
    }
}

/// The checks to run, in their order.
pub(crate) fn choose(
    before_installation: bool,
    only: &[String],
    skip: &[String],
) -> Vec<&'static Check> {
    let named = |names: &[String], check: &Check| {
        names
            .iter()
            .any(|name| name == check.name || name == check.group)
    };
    let fits = |check: &Check| match check.when {
        When::Always => true,
        When::Before => before_installation,
        When::After => !before_installation,
    };
    let chosen = ALL.iter().copied().filter(|check| fits(check));
    chosen
        .filter(|check| (only.is_empty() || named(only, check)) && !named(skip, check))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(pre: bool, only: &[&str], skip: &[&str]) -> Vec<&'static str> {
        let owned = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        choose(pre, &owned(only), &owned(skip))
            .iter()
            .map(|check| check.name)
            .collect()
    }

    #[test]
    fn names_are_unique_and_fit_an_anchor() {
        let mut names = names();
        assert!(
            names
                .iter()
                .all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '-')),
            "{names:?}"
        );
        names.sort_unstable();
        let before = names.len();
        names.dedup();
        assert_eq!(names.len(), before);
    }

    #[test]
    fn only_and_skip_take_checks_and_groups() {
        assert_eq!(chosen(false, &["tunnels-up"], &[]), ["tunnels-up"]);
        assert!(
            !chosen(false, &[], &["gateways"])
                .iter()
                .any(|name| name.starts_with("gateway"))
        );
        assert!(name("nonsense").unwrap_err().contains("tunnels-up"));
    }

    #[test]
    fn before_installation_nothing_is_asked_of_what_is_not_there() {
        assert!(!chosen(true, &[], &[]).contains(&"operator-available"));
        assert!(chosen(true, &[], &[]).contains(&"install-permissions"));
    }
}
