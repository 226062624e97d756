//! What `init` says that an administrator must grant: exactly that, and extconn can be installed.

use extconn_lab::walkthrough::{ask, workload};
use serde_json::{Value, json};

use crate::stage::{COULD_NOT_RUN, image_tags, init, workstation};

/// Whoever is to install.
const USER: &str = "ines";

/// Where extconn is to run: somebody else's namespace, for grants can only be made in one that is
/// there.
const NAMESPACE: &str = "external-services";

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn whoever_is_granted_what_init_asks_for_can_install() {
    let tags = image_tags();
    workstation(&["kubectl", "extconn", "uninstall", "--yes"]).succeeds();
    let as_user = format!("--as={USER}");
    let refused = init(&[&as_user]);
    refused.fails(
        COULD_NOT_RUN,
        "you may not",
        "ask a cluster administrator for",
    );
    let asked = refused.stderr.lines().find_map(|line| {
        line.strip_prefix("next: ask a cluster administrator for: ")
            .map(str::to_owned)
    });
    let grants = grants(&asked.unwrap());
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    workload::apply(&[namespace]).unwrap();
    workload::apply(&grants).unwrap();

    init(&[&as_user, &tags[0], &tags[1]]).succeeds();
    init(&[&as_user]).changes_nothing();

    // The namespace was there before, and stays.
    workstation(&["kubectl", "extconn", "uninstall", "--yes"]).succeeds();
    for kind in ["clusterrole", "clusterrolebinding"] {
        ask::cluster_ok(&["delete", kind, USER], "").unwrap();
    }
    for namespace in ["default", NAMESPACE] {
        let own = ["delete", "role,rolebinding", USER, "-n", namespace];
        ask::cluster_ok(&own, "").unwrap();
    }
    ask::cluster_ok(&["delete", "namespace", NAMESPACE], "").unwrap();
    init(&[&tags[0], &tags[1]]).succeeds();
    init(&[]).changes_nothing();
}

/// The roles of `create,get pods in namespace x; …`, bound to the user.
fn grants(asked: &str) -> Vec<Value> {
    let mut everywhere = Vec::new();
    let mut within: std::collections::BTreeMap<&str, Vec<Value>> = Default::default();
    for grant in asked.split("; ") {
        let (verbs, rest) = grant.split_once(' ').unwrap();
        let (resource, place) = rest.split_once(" in ").unwrap();
        let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
        let verbs: Vec<&str> = verbs.split(',').collect();
        let rule = json!({"apiGroups": [group], "resources": [resource], "verbs": verbs});
        match place.strip_prefix("namespace ") {
            Some(namespace) => within.entry(namespace).or_default().push(rule),
            None => everywhere.push(rule),
        }
    }
    let mut objects = bound("ClusterRole", None, &everywhere);
    for (namespace, rules) in within {
        objects.extend(bound("Role", Some(namespace), &rules));
    }
    objects
}

/// A role with these rules, and its binding.
fn bound(kind: &str, namespace: Option<&str>, rules: &[Value]) -> Vec<Value> {
    let (api, group) = ("rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io");
    let metadata = json!({"name": USER, "namespace": namespace});
    vec![
        json!({"apiVersion": api, "kind": kind, "metadata": metadata, "rules": rules}),
        json!({
            "apiVersion": api, "kind": format!("{kind}Binding"), "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": kind, "name": USER},
            "subjects": [{"apiGroup": group, "kind": "User", "name": USER}],
        }),
    ]
}
