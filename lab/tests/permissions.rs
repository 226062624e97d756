//! What each ServiceAccount may do, in the API server's own words, is what the checked-in list
//! says. Needs the lab, as end_to_end does; `UPDATE_EXPECT=1` rewrites the list.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use extconn_lab::walkthrough::ask::cluster_ok;
use extconn_lab::walkthrough::{Scenario, story, workload};
use serde_json::{Value, json};

const CONNECTOR: &str = "external-services";

/// Resource (with its group, and the names that it is limited to) to verbs.
type Rules = BTreeMap<String, BTreeSet<String>>;

/// What a ServiceAccount of the connector namespace may do in a namespace.
fn rules(account: &str, namespace: &str) -> Rules {
    let user = format!("--as=system:serviceaccount:{CONNECTOR}:{account}");
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    });
    let said = cluster_ok(
        &["create", &user, "--validate=false", "-f", "-", "-o", "json"],
        &review.to_string(),
    );
    let review: Value = serde_json::from_str(&said.unwrap()).unwrap();
    let status = &review["status"];
    assert_eq!(status["incomplete"], false, "{status}");
    let words = |value: &Value| -> Vec<String> {
        let words = value.as_array().into_iter().flatten();
        words
            .map(|word| word.as_str().unwrap().to_owned())
            .collect()
    };
    let mut rules = Rules::new();
    for rule in status["resourceRules"].as_array().unwrap() {
        let names = words(&rule["resourceNames"]).join(",");
        for group in words(&rule["apiGroups"]) {
            for resource in words(&rule["resources"]) {
                let dot = if group.is_empty() { "" } else { "." };
                let names = if names.is_empty() {
                    String::new()
                } else {
                    format!(" [{names}]")
                };
                let verbs = rules
                    .entry(format!("{resource}{dot}{group}{names}"))
                    .or_default();
                verbs.extend(words(&rule["verbs"]));
            }
        }
    }
    for rule in status["nonResourceRules"].as_array().into_iter().flatten() {
        for url in words(&rule["nonResourceURLs"]) {
            rules.entry(url).or_default().extend(words(&rule["verbs"]));
        }
    }
    rules
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn each_service_account_may_do_what_the_list_says_and_no_more() {
    let scenario = Scenario::temporary(&format!("rights-{:x}", std::process::id()));
    let listed = std::panic::catch_unwind(|| {
        workload::create(&scenario).unwrap();
        workload::apply(&[scenario.external_service()]).unwrap();
        story::await_ready(&scenario).unwrap();
        list(&scenario)
    });
    workload::delete(&scenario).unwrap();
    let listed = listed.unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/service-accounts.txt");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::create_dir_all(golden.parent().unwrap()).unwrap();
        std::fs::write(&golden, &listed).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    assert!(
        listed == expected,
        "not as in {}: look whether that is meant, then run with UPDATE_EXPECT=1\n{listed}",
        golden.display()
    );
}

fn list(scenario: &Scenario) -> String {
    let mut text = String::from(
        "# What each ServiceAccount may do beyond what every authenticated user may, as the API\n\
         # server's SelfSubjectRulesReview says. Made by tests/permissions.rs. NAME is an\n\
         # ExternalService.\n",
    );
    let source = scenario.sources[0].namespace.as_str();
    let forwarder = format!("forwarder-{}", scenario.name);
    for (account, namespace, shown) in [
        ("extconn-operator", CONNECTOR, "the connector namespace"),
        ("extconn-operator", "default", "every other namespace"),
        ("extconn-gateway", CONNECTOR, "the connector namespace"),
        ("extconn-gateway", "default", "every other namespace"),
        (&forwarder, CONNECTOR, "the connector namespace"),
        (&forwarder, source, "the namespace of a source Service"),
        (&forwarder, "default", "every other namespace"),
    ] {
        let anybody = rules("default", namespace);
        let account_shown = account.replace(&scenario.name, "NAME");
        writeln!(text, "\n{account_shown} in {shown}").unwrap();
        let mut lines = 0;
        for (resource, verbs) in rules(account, namespace) {
            let common = anybody.get(&resource).cloned().unwrap_or_default();
            let verbs: Vec<_> = verbs.difference(&common).cloned().collect();
            if !verbs.is_empty() {
                let resource = resource.replace(&scenario.name, "NAME");
                writeln!(text, "  {resource}: {}", verbs.join(", ")).unwrap();
                lines += 1;
            }
        }
        if lines == 0 {
            text.push_str("  nothing\n");
        }
    }
    text
}
