//! Pure: whether the chart's clean-up can run before the release goes, and what goes with it.
//!
//! The clean-up is a pod of the connector namespace. It takes the operator's finalizer off the
//! ExternalServices: without it, they could not be deleted any more.

use k8s_openapi::api::core::v1::Namespace;

use super::plan::Counts;
use crate::cluster::installation;
use crate::failure::Failure;
use crate::helm::{Hook, ReleaseName};

/// The connector namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its name.
    pub name: String,
    /// Whether pods can start in it.
    pub phase: Phase,
    /// Whether the chart made it, so that it goes with the release.
    pub is_of_release: bool,
}

/// Whether a namespace is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It is.
    There,
    /// It is being deleted.
    Leaving,
    /// It is not.
    Gone,
}

/// What goes with the release beside operator and forwarders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    /// The namespace that the chart made.
    pub namespace: String,
    /// How many ExternalServices are in it.
    pub external_services: usize,
}

/// Whether a pod of the operator is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    /// One is.
    Ready,
    /// None is, or there is no operator.
    NotReady,
}

impl Place {
    /// What the API server has under this name.
    pub(crate) fn of(name: &str, found: Option<&Namespace>, release: &ReleaseName) -> Self {
        let phase = match found {
            None => Phase::Gone,
            Some(namespace) if namespace.metadata.deletion_timestamp.is_some() => Phase::Leaving,
            Some(_) => Phase::There,
        };
        Self {
            name: name.to_owned(),
            phase,
            is_of_release: found.and_then(installation::release_of).as_ref() == Some(release),
        }
    }

    /// What of it goes with the release.
    pub(crate) fn lost(&self, counts: Counts) -> Option<Lost> {
        (self.is_of_release && self.phase != Phase::Gone).then(|| Lost {
            namespace: self.name.clone(),
            external_services: counts.inside,
        })
    }
}

/// Whether to run the clean-up. A namespace that is going or gone has no room for its pod.
pub(crate) fn hook(place: &Place, counts: Counts, operator: Operator) -> Hook {
    match place.phase {
        // Elsewhere than in a namespace of its own it has more to take away.
        Phase::There
            if counts.held == 0 && operator == Operator::NotReady && place.is_of_release =>
        {
            Hook::Skipped
        }
        Phase::There => Hook::Runs,
        Phase::Leaving | Phase::Gone => Hook::Skipped,
    }
}

/// The clean-up has a pod that never starts.
pub(crate) fn never_starts(namespace: &str, why: &str) -> Failure {
    Failure::failed(format!(
        "what the operator has made cannot be cleaned up: {why}"
    ))
    .next(format!(
        "put that right, if it is an image by `kubectl extconn init` with --registry, --values or --set, and run this again; or {}",
        by_hand(namespace)
    ))
}

/// What an administrator does where the cluster cannot start a pod.
fn by_hand(namespace: &str) -> String {
    format!(
        "run `CONNECTOR_NAMESPACE={namespace} extconn-operator cleanup --stop-operator=extconn-operator` anywhere with an administrator's kubeconfig, then this again"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn place(phase: Phase) -> Place {
        Place {
            name: "external-services".into(),
            phase,
            is_of_release: true,
        }
    }

    #[test]
    fn the_clean_up_runs_unless_it_has_nothing_to_do_or_nowhere_to_run() {
        use Operator::{NotReady, Ready};
        use Phase::{Gone, Leaving, There};
        let check = |phase: Phase, held: usize, operator: Operator, expect: Hook| {
            let counts = Counts {
                held,
                ..Counts::default()
            };
            let found = hook(&place(phase), counts, operator);
            assert_eq!(found, expect, "{phase:?} {held} {operator:?}");
        };
        check(There, 1, Ready, Hook::Runs);
        check(There, 0, Ready, Hook::Runs);
        check(There, 1, NotReady, Hook::Runs);
        check(There, 0, NotReady, Hook::Skipped);
        check(Leaving, 0, Ready, Hook::Skipped);
        check(Leaving, 1, NotReady, Hook::Skipped);
        check(Gone, 1, NotReady, Hook::Skipped);
    }

    #[test]
    fn the_way_by_hand_names_the_namespace() {
        let hopeless = never_starts("external-services", "pod x waits: ImagePullBackOff");
        assert!(hopeless.message().contains("ImagePullBackOff"));
        let next = hopeless.next_step().unwrap();
        assert!(next.contains("CONNECTOR_NAMESPACE=external-services extconn-operator cleanup"));
    }

    #[test]
    fn only_a_namespace_that_the_chart_made_goes_with_the_release() {
        let release = ReleaseName::default();
        let namespace = |metadata: serde_json::Value| -> Namespace {
            serde_json::from_value(json!({ "metadata": metadata })).unwrap()
        };
        let made = json!({"meta.helm.sh/release-name": "extconn", "meta.helm.sh/release-namespace": "default"});
        let counts = Counts {
            inside: 2,
            ..Counts::default()
        };
        let check = |found: Option<&Namespace>, phase: Phase, lost: Option<usize>| {
            let place = Place::of("es", found, &release);
            assert_eq!(place.phase, phase);
            let of_place = place.lost(counts).map(|lost| lost.external_services);
            assert_eq!(of_place, lost);
        };
        let own = namespace(json!({"name": "es", "annotations": made}));
        check(Some(&own), Phase::There, Some(2));
        let leaving =
            json!({"name": "es", "annotations": made, "deletionTimestamp": "2026-01-01T00:00:00Z"});
        check(Some(&namespace(leaving)), Phase::Leaving, Some(2));
        check(Some(&namespace(json!({"name": "es"}))), Phase::There, None);
        check(None, Phase::Gone, None);
    }
}
