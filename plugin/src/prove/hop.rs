//! Pure: what was proven of a path, hop by hop.

use serde::Serialize;

use crate::failure::Failure;

/// What became of one hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Outcome {
    /// It was seen to work.
    Proven,
    /// It was seen not to work.
    Failed,
    /// It was asked for, and nothing was seen that proves it.
    NotProven,
    /// Not tried, because a hop before it failed.
    NotTried,
    /// Not asked for: a flag would ask for it.
    NotAsked,
}

/// One hop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Hop {
    /// What it is: `target`, `tunnel`, `dns`, …
    pub name: &'static str,
    /// Which one of that name: a source IP, a port, a replica; empty if there is but one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub of: String,
    /// What became of it.
    pub outcome: Outcome,
    /// What was seen.
    pub message: String,
    /// What to do next, unless it is proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Hop {
    /// It was seen to work.
    pub(crate) fn proven(
        name: &'static str,
        of: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            name,
            of: of.into(),
            outcome: Outcome::Proven,
            message: message.into(),
            next: None,
        }
    }

    /// It was seen not to work.
    pub(crate) fn failed(
        name: &'static str,
        of: impl Into<String>,
        message: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        let next = Some(next.into());
        Self {
            name,
            of: of.into(),
            outcome: Outcome::Failed,
            message: message.into(),
            next,
        }
    }

    /// Nothing was seen that proves it.
    pub(crate) fn not_proven(
        name: &'static str,
        of: impl Into<String>,
        message: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self {
            outcome: Outcome::NotProven,
            ..Self::failed(name, of, message, next)
        }
    }

    /// A hop before it failed.
    pub(crate) fn not_tried(
        name: &'static str,
        of: impl Into<String>,
        because: impl Into<String>,
    ) -> Self {
        Self {
            name,
            of: of.into(),
            outcome: Outcome::NotTried,
            message: because.into(),
            next: None,
        }
    }

    /// The user has not asked for it.
    pub(crate) fn not_asked(
        name: &'static str,
        of: impl Into<String>,
        flag: impl Into<String>,
    ) -> Self {
        Self {
            name,
            of: of.into(),
            outcome: Outcome::NotAsked,
            message: flag.into(),
            next: None,
        }
    }
}

/// All hops of one part of the way: of the whole ExternalService, or of one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stretch {
    /// `namespace/name`, or `namespace/service as source IP`.
    pub title: String,
    /// In the order of the packets.
    pub hops: Vec<Hop>,
}

/// One ExternalService.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PathReport {
    /// `namespace/name`.
    pub external_service: String,
    /// First what all sources share, then one entry for each source.
    pub stretches: Vec<Stretch>,
    /// Whether all that was asked is proven.
    pub success: bool,
}

impl PathReport {
    /// Sums up.
    pub(crate) fn new(external_service: String, stretches: Vec<Stretch>) -> Self {
        let asked = |hop: &&Hop| hop.outcome != Outcome::NotAsked;
        let mut hops = stretches
            .iter()
            .flat_map(|stretch| &stretch.hops)
            .filter(asked)
            .peekable();
        let success = hops.peek().is_some() && hops.all(|hop| hop.outcome == Outcome::Proven);
        Self {
            external_service,
            stretches,
            success,
        }
    }

    /// Nothing could be seen of it.
    pub(crate) fn unread(external_service: String, why: &Failure) -> Self {
        let next = why.next_step().unwrap_or("see `kubectl extconn status -A`");
        let hop = Hop::not_proven("object", "", why.message(), next);
        let title = external_service.clone();
        Self::new(
            external_service,
            vec![Stretch {
                title,
                hops: vec![hop],
            }],
        )
    }

    /// How many hops ended like this.
    pub(crate) fn count(&self, outcome: Outcome) -> usize {
        self.stretches
            .iter()
            .flat_map(|stretch| &stretch.hops)
            .filter(|hop| hop.outcome == outcome)
            .count()
    }

    /// The hop to look at: the first that failed, else the first that is not proven.
    pub(crate) fn culprit(&self) -> Option<&Hop> {
        let with = |outcome| {
            self.stretches
                .iter()
                .flat_map(|stretch| &stretch.hops)
                .find(|hop| hop.outcome == outcome)
        };
        with(Outcome::Failed).or_else(|| with(Outcome::NotProven))
    }
}

/// The whole answer of `test -o json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TestReport {
    /// Always `TestReport`.
    kind: &'static str,
    /// Whether all that was asked is proven.
    pub success: bool,
    /// One entry for each ExternalService.
    pub paths: Vec<PathReport>,
}

impl TestReport {
    /// Sums up.
    pub(crate) fn new(paths: Vec<PathReport>) -> Self {
        let success = !paths.is_empty() && paths.iter().all(|path| path.success);
        Self {
            kind: "TestReport",
            success,
            paths,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(hops: Vec<Hop>) -> PathReport {
        PathReport::new(
            "a/b".into(),
            vec![Stretch {
                title: String::new(),
                hops,
            }],
        )
    }

    #[test]
    fn only_what_was_seen_to_work_is_a_success() {
        let proven = Hop::proven("a", "", "");
        assert!(report(vec![proven.clone(), Hop::not_asked("b", "", "")]).success);
        for other in [
            Hop::failed("b", "", "", ""),
            Hop::not_proven("b", "", "", ""),
            Hop::not_tried("b", "", ""),
        ] {
            assert!(
                !report(vec![proven.clone(), other.clone()]).success,
                "{other:?}"
            );
        }
        assert!(!report(vec![]).success);
        assert!(!report(vec![Hop::not_asked("b", "", "")]).success);
        assert!(!TestReport::new(vec![]).success);
    }

    #[test]
    fn a_failure_is_the_culprit_before_what_is_merely_not_proven() {
        let hops = vec![
            Hop::not_proven("a", "", "", ""),
            Hop::failed("b", "", "", ""),
        ];
        assert_eq!(report(hops).culprit().unwrap().name, "b");
    }
}
