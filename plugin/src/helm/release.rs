//! Pure: what helm tells of a release.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

/// A release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Release {
    /// `deployed`, `failed`, `pending-install`, …
    pub status: String,
    /// Counts installations, upgrades and rollbacks.
    pub revision: u64,
}

/// How to get a release out of a state in which an interrupted helm left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recovery {
    /// Not needed.
    None,
    /// Back to the revision before.
    Rollback,
    /// There is no revision before.
    Uninstall,
    /// Back to the revision that was being uninstalled: what is left of it stays, the rest comes back.
    Reinstate,
}

impl Release {
    /// What has to happen before helm takes an upgrade.
    pub(crate) fn recovery(&self) -> Recovery {
        match self.status.as_str() {
            "pending-install" => Recovery::Uninstall,
            "pending-upgrade" | "pending-rollback" if self.revision > 1 => Recovery::Rollback,
            "pending-upgrade" | "pending-rollback" => Recovery::Uninstall,
            "uninstalling" => Recovery::Reinstate,
            _ => Recovery::None,
        }
    }
}

/// Reads `helm status --output json`.
///
/// # Errors
/// What is missing.
pub(crate) fn parse(json: &str) -> Result<Release, String> {
    #[derive(Deserialize)]
    struct Status {
        info: Details,
        version: u64,
    }
    #[derive(Deserialize)]
    struct Details {
        status: String,
    }
    let status: Status = serde_json::from_str(json).map_err(|error| error.to_string())?;
    Ok(Release {
        status: status.info.status,
        revision: status.version,
    })
}

/// The chart's name in `helm get metadata --output json`.
///
/// # Errors
/// It is not there.
pub(crate) fn chart(json: &str) -> Result<String, String> {
    let metadata: Value = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let chart = metadata["chart"].as_str().map(str::to_owned);
    chart.ok_or_else(|| "helm get metadata names no chart".to_owned())
}

/// Whether helm says that it has no record of the release. That a program, a plugin or an object of
/// the release is not found is another matter.
pub(crate) fn is_unknown(stderr: &str) -> bool {
    stderr.contains("release: not found")
}

/// Whether helm says that it cannot read its own record of the release.
pub(crate) fn is_damaged(stderr: &str) -> bool {
    stderr.contains("no revision for release")
}

/// The objects in a stream of YAML documents.
///
/// # Errors
/// It is no YAML.
pub(crate) fn documents(text: &str) -> Result<Vec<Value>, String> {
    let documents: Vec<Value> =
        serde_yaml::from_multiple(text).map_err(|error| error.to_string())?;
    Ok(documents.into_iter().filter(|one| !one.is_null()).collect())
}

/// Whether two streams of YAML documents hold the same objects, in whatever order and form.
pub(crate) fn same_objects(one: &str, other: &str) -> bool {
    let objects = |text: &str| -> Option<BTreeSet<String>> {
        let documents = documents(text).ok()?.into_iter();
        Some(documents.map(|document| document.to_string()).collect())
    };
    matches!((objects(one), objects(other)), (Some(one), Some(other)) if one == other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_and_revision_are_read() {
        let release =
            parse(r#"{"name":"extconn","version":3,"info":{"status":"deployed","notes":"x"}}"#)
                .unwrap();
        assert_eq!(
            release,
            Release {
                status: "deployed".into(),
                revision: 3
            }
        );
        assert!(parse("{}").is_err());
        let metadata = r#"{"name":"extconn","chart":"redis","version":"1.2.3"}"#;
        assert_eq!(chart(metadata), Ok("redis".to_owned()));
        assert!(chart("{}").is_err());
    }

    #[test]
    fn an_interrupted_helm_is_cleared_away_as_it_needs() {
        let recovery = |status: &str, revision| {
            Release {
                status: status.into(),
                revision,
            }
            .recovery()
        };
        assert_eq!(recovery("deployed", 1), Recovery::None);
        assert_eq!(recovery("failed", 1), Recovery::None);
        assert_eq!(recovery("pending-install", 1), Recovery::Uninstall);
        assert_eq!(recovery("pending-upgrade", 2), Recovery::Rollback);
        assert_eq!(recovery("uninstalling", 2), Recovery::Reinstate);
    }

    #[test]
    fn only_a_release_that_is_not_found_is_no_release() {
        assert!(is_unknown("Error: release: not found"));
        assert!(is_unknown(
            "Error: uninstall: Release not loaded: extconn: release: not found"
        ));
        assert!(!is_unknown("helm: command not found"));
        assert!(!is_unknown(
            r#"Error: namespaces "external-services" not found"#
        ));
    }

    #[test]
    fn objects_are_the_same_whatever_their_order() {
        assert!(same_objects(
            "---\n# Source: a\na: 1\nb: 2\n---\nc: 3\n",
            "---\nc: 3\n---\nb: 2\na: 1\n"
        ));
        assert!(!same_objects("a: 1\n", "a: 2\n"));
        assert!(!same_objects("a: 1\n", "a: ["));
    }
}
