use serde_json::json;

use super::*;
use crate::uninstall::which_host::tests::host;

const EVERYTHING: Scope = Scope::Everything {
    hosts: true,
    crds: false,
};
const WITHOUT_A_TRACE: Scope = Scope::Everything {
    hosts: false,
    crds: true,
};

/// The namespace that goes with the release, with so many ExternalServices in it.
fn lost(external_services: usize) -> Option<Lost> {
    Some(Lost {
        namespace: "external-services".into(),
        external_services,
    })
}

fn situation<'a>(
    known: &'a [GatewayHost],
    crds: &'a [String],
    release: Option<Option<Lost>>,
    scope: &'a Scope,
) -> Situation<'a> {
    Situation {
        known,
        release: release.map(|lost| (Hook::Runs, lost)),
        crds,
        counts: Counts {
            inside: 2,
            outside: 1,
            held: 3,
        },
        orphans: 0,
        scope,
    }
}

fn check(scope: Scope, release: Option<Option<Lost>>, expect: &[Planned]) {
    let known = [host("gw1", "root@gw1"), host("gw2", "root@gw2")];
    let crds = ["a".to_owned()];
    let steps = plan(&situation(&known, &crds, release, &scope)).unwrap();
    assert_eq!(steps, expect);
}

fn gateway(name: &str) -> Planned {
    let ssh = format!("root@{name}");
    Planned::Gateway {
        note: Some(host(name, &ssh)),
        ssh,
    }
}

#[test]
fn hosts_go_before_the_notes_on_them() {
    let hosts = [gateway("gw1"), gateway("gw2")];
    check(EVERYTHING, None, &hosts);
    let [one, two] = hosts;
    let release = Planned::Release(Hook::Runs, lost(2));
    check(EVERYTHING, Some(lost(2)), &[one, two, release]);
}

#[test]
fn crds_go_last_and_only_on_request_with_what_outlives_the_release() {
    let crds = |external_services| Planned::Crds(vec!["a".into()], external_services);
    let release = |lost| Planned::Release(Hook::Runs, lost);
    check(WITHOUT_A_TRACE, Some(lost(2)), &[release(lost(2)), crds(1)]);
    check(WITHOUT_A_TRACE, Some(None), &[release(None), crds(3)]);
    check(WITHOUT_A_TRACE, None, &[crds(3)]);
}

#[test]
fn one_host_leaves_the_cluster_alone() {
    check(
        Scope::OneHost("gw2".into()),
        Some(lost(2)),
        &[gateway("gw2")],
    );
    let other = Planned::Gateway {
        ssh: "me@gw3".into(),
        note: None,
    };
    check(Scope::OneHost("me@gw3".into()), Some(None), &[other]);
}

#[test]
fn a_note_is_forgotten_without_its_host() {
    let note = Planned::Note(host("gw2", "root@gw2"));
    check(Scope::Note("root@gw2".into()), Some(None), &[note]);
    let scope = Scope::Note("gw3".into());
    assert!(plan(&situation(&[], &[], None, &scope)).is_err());
}

#[test]
fn the_plan_says_what_goes_with_the_namespace() {
    let release = |lost| described(&Planned::Release(Hook::Runs, lost));
    assert_eq!(
        release(lost(2)),
        "remove operator and forwarders from the cluster with helm, and namespace external-services with 2 ExternalServices in it"
    );
    assert!(release(lost(0)).ends_with(", and namespace external-services"));
    assert!(release(None).ends_with("with helm"));
}

#[test]
fn what_stays_is_told_at_the_end() {
    let crds = ["a".to_owned()];
    let known = [host("gw1", "root@gw1")];
    let told = |release, scope: &Scope| farewell(&situation(&known, &crds, release, scope));
    assert_eq!(
        told(Some(lost(2)), &EVERYTHING),
        "Done. The CustomResourceDefinitions stay, and 1 ExternalService of other namespaces; --delete-crds removes them."
    );
    assert_eq!(
        told(Some(None), &EVERYTHING),
        "Done. The CustomResourceDefinitions stay, and 3 ExternalServices; --delete-crds removes them."
    );
    assert_eq!(told(Some(lost(2)), &WITHOUT_A_TRACE), "Done.");
    assert_eq!(told(Some(lost(2)), &Scope::OneHost("gw1".into())), "Done.");
    let forgotten = farewell(&situation(&[], &crds, Some(None), &EVERYTHING));
    assert!(forgotten.contains("--gateway USER@HOST"), "{forgotten}");
}

#[test]
fn nothing_is_said_to_be_there_only_if_the_crds_are_gone_too() {
    let crds = ["a".to_owned()];
    assert_eq!(
        nothing_to_do(&situation(&[], &crds, None, &EVERYTHING)),
        "Only the CustomResourceDefinitions are left (with 3 ExternalServices); --delete-crds removes them."
    );
    let none = nothing_to_do(&situation(&[], &[], None, &EVERYTHING));
    assert!(none.starts_with("Nothing of extconn is there"));
}

#[test]
fn external_services_are_counted_by_place_and_by_finalizer() {
    let es = |namespace: &str, finalizers: &[&str]| -> ExternalService {
        serde_json::from_value(json!({
            "apiVersion": "submariner.io/v1alpha1", "kind": "ExternalService",
            "metadata": {"name": "db", "namespace": namespace, "finalizers": finalizers},
            "spec": {"targetIP": "203.0.113.7", "ports": [{"port": 1}],
                     "sources": [{"service": {"name": "web"}, "sourceIP": "192.0.2.11"}]},
        }))
        .unwrap()
    };
    let all = [
        es("external-services", &[names::FINALIZER]),
        es("ns1", &["example.com/other"]),
        es("ns2", &["example.com/other", names::FINALIZER]),
    ];
    let expect = Counts {
        inside: 1,
        outside: 2,
        held: 2,
    };
    assert_eq!(Counts::of(&all, "external-services"), expect);
}

#[test]
fn who_waits_for_an_operator_that_is_gone_is_released_before_the_release_goes() {
    let known = [];
    let mut situation = situation(&known, &[], Some(None), &EVERYTHING);
    situation.orphans = 3;
    let expect = [Planned::Orphans(3), Planned::Release(Hook::Runs, None)];
    assert_eq!(plan(&situation).unwrap(), expect);
    situation.release = None;
    assert_eq!(plan(&situation).unwrap(), expect[..1]);
}
