//! The life of an installation: refused beside what it cannot share, installed beside Submariner,
//! upgraded and rolled back under traffic, its nodes drained, uninstalled. Needs a lab with extconn
//! in it, which it leaves so: `make installation`. What it is upgraded from, see before.rs.

#![allow(clippy::unwrap_used)]

mod ask;
mod before;
mod beside;
mod drain;
mod traffic;

use std::time::{Duration, Instant};

use extconn_lab::installation;
use extconn_lab::progress::Progress;
use extconn_lab::topology::Host;
use extconn_lab::walkthrough::{Scenario, leftovers, scenario, story, workload};
use serde_json::{Value, json};

use crate::ask::{helm_ok, kubectl};
use crate::before::Before;
use crate::traffic::Traffic;

const NAMESPACE: &str = scenario::CONNECTOR_NAMESPACE;
const OUR_CRDS: [&str; 3] = [
    "externalservices.submariner.io",
    "forwarders.extconn.submariner.io",
    "gateways.extconn.submariner.io",
];

/// Puts a token of the present ServiceAccount on the gateway host.
fn give_gateway_a_token() {
    let create = ["create", "token", "extconn-gateway", "--duration=24h"];
    let token = kubectl(&[&create[..], &["-n", NAMESPACE]].concat());
    let line = format!(
        "umask 077; f=/var/lib/extconn/token; printf %s '{token}' >$f.new && \
         chown extconn:extconn $f.new && mv $f.new $f && systemctl restart extconn-gateway"
    );
    let said = extconn_lab::exec(Host::Gateway, &["bash", "-c", &line]).unwrap();
    assert!(said.status.success(), "{said:?}");
}

#[test]
#[ignore = "takes the installation of a lab away: make installation"]
fn an_installation_lives_and_dies_as_the_chart_says() {
    let chart = installation::tree().join("chart").display().to_string();
    let given = helm_ok(&["get", "values", "extconn", "-o", "json"]);
    let given: Value = serde_json::from_str(&given).unwrap();
    let given = if given.is_object() { given } else { json!({}) };
    let file = tempfile::NamedTempFile::with_suffix(".json").unwrap();
    std::fs::write(&file, given.to_string()).unwrap();
    let values = format!("--values={}", file.path().display());

    helm_ok(&["uninstall", "extconn", "--wait", "--timeout=3m"]);
    kubectl(&[&["delete", "crd"], &OUR_CRDS[..]].concat());
    assert_eq!(leftovers::of_chart().unwrap(), Vec::<String>::new());

    beside::refuses_a_foreign_definition(&chart, &values);
    beside::put_submariner();
    let before = before::before(file.path(), &given);
    install(&before);
    give_gateway_a_token();
    let scenario = scenario_elsewhere();
    beside::refuses_a_second_installation(&chart, &values);
    upgrades_and_goes_back(&scenario, &chart, &values, &before);
    goes_and_says_what_stays(&scenario);
    beside::take_submariner();

    // The gateway is still on its host, with a token of the ServiceAccount that is gone.
    installation::install(&Progress::new()).unwrap();
}

fn install(before: &Before) {
    let chart = before.chart.display().to_string();
    let install = ["install", "extconn", &chart, "--wait", "--timeout=2m"];
    let values: Vec<&str> = before.values.iter().map(String::as_str).collect();
    helm_ok(&[&install[..], &values].concat());
}

/// A scenario that is ready and not in the connector namespace, which goes with the installation.
fn scenario_elsewhere() -> Scenario {
    let mut scenario = Scenario::temporary(&format!("life-{:x}", std::process::id()));
    scenario.namespace = scenario.sources[0].namespace.clone();
    workload::create(&scenario).unwrap();
    let other = &scenario.sources[1];
    let consent = format!("extconn.submariner.io/exposed-to={}", scenario.namespace);
    let annotate = [
        "annotate",
        "service",
        "-n",
        &other.namespace,
        &other.service,
    ];
    kubectl(&[&annotate[..], &[&consent]].concat());
    workload::apply(&[scenario.external_service()]).unwrap();
    story::await_ready(&scenario).unwrap();
    scenario
}

/// Both ways under traffic. The upgrade also sets an annotation of forwarders' pods, which the
/// rollback takes away.
fn upgrades_and_goes_back(scenario: &Scenario, chart: &str, values: &str, before: &Before) {
    let definition = ["get", "crd", OUR_CRDS[0], &before::field_path()];
    let lacking = |missing: bool| {
        if before.lacks_field {
            assert_eq!(kubectl(&definition), if missing { "" } else { "boolean" });
        }
    };
    lacking(true);

    let traffic = Traffic::start(scenario);
    let upgrade = [
        "upgrade",
        "extconn",
        chart,
        values,
        "--wait",
        "--timeout=3m",
    ];
    let change = ["--set-string=forwarder.podAnnotations.generation=2,extraLabels.team=platform"];
    helm_ok(&[&upgrade[..], &change].concat());
    until_rolled_out(scenario, |image, annotation| {
        !is_before(image) && annotation == "2"
    });
    story::await_ready(scenario).unwrap();
    traffic.end();
    lacking(false);

    let traffic = Traffic::start(scenario);
    helm_ok(&["rollback", "extconn", "--wait", "--timeout=3m"]);
    until_rolled_out(scenario, |image, annotation| {
        is_before(image) && annotation.is_empty()
    });
    story::await_ready(scenario).unwrap();
    traffic.end();
    lacking(true);
}

fn is_before(image: &str) -> bool {
    image.ends_with(&format!(":{}", before::TAG))
}

/// Waits until a forwarder's Deployment has this image and annotation, and its rollout is over.
fn until_rolled_out(scenario: &Scenario, wanted: impl Fn(&str, &str) -> bool) {
    let deployment = format!("deployment/forwarder-{}", scenario.name);
    let template = "{.spec.template.spec.containers[0].image} {.spec.template.metadata.annotations.generation}";
    let path = format!("-o=jsonpath={template}");
    let begin = Instant::now();
    loop {
        let found = kubectl(&["get", "-n", NAMESPACE, &deployment, &path]);
        let (image, annotation) = found.split_once(' ').unwrap();
        if wanted(image, annotation) {
            break;
        }
        let late = begin.elapsed() > Duration::from_secs(60);
        assert!(!late, "{deployment} does not change: {found}");
        std::thread::sleep(Duration::from_millis(500));
    }
    let status = ["rollout", "status", "--timeout=120s", &deployment];
    kubectl(&[&status[..], &["-n", NAMESPACE]].concat());
}

fn goes_and_says_what_stays(scenario: &Scenario) {
    let said = helm_ok(&["uninstall", "extconn", "--wait", "--timeout=3m"]);
    for crd in OUR_CRDS {
        assert!(said.contains(crd), "{crd} is not named: {said}");
    }
    assert_eq!(leftovers::of_chart().unwrap(), Vec::<String>::new());
    let namespace = &scenario.namespace;
    let reason = "-o=jsonpath={.status.conditions[?(@.type==\"Ready\")].reason}";
    let reason = kubectl(&["get", "extsvc", "-n", namespace, &scenario.name, reason]);
    assert_eq!(reason, "Uninstalled");
    workload::delete(scenario).unwrap();
}
