//! The life of an installation: refused beside what it cannot share, installed beside Submariner,
//! upgraded and rolled back under traffic, uninstalled. Needs a lab with extconn in it, which it
//! leaves so. On request: `cargo test -p extconn-lab --test lifecycle -- --ignored`.
//!
//! `EXTCONN_BEFORE=FOLDER` names the version before: a folder with its chart/, extconn-operator and
//! extconn-forwarder. Without it, the upgrade is one of values and pods only.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use extconn_lab::progress::Progress;
use extconn_lab::topology::Host;
use extconn_lab::walkthrough::ask::{self, Said};
use extconn_lab::walkthrough::{
    Scenario, access, egress, ingress, leftovers, scenario, story, workload,
};
use extconn_lab::{images, installation};
use serde_json::{Value, json};

const NAMESPACE: &str = scenario::CONNECTOR_NAMESPACE;
const OUR_CRDS: [&str; 3] = [
    "externalservices.submariner.io",
    "forwarders.extconn.submariner.io",
    "gateways.extconn.submariner.io",
];

/// Kinds of the Submariner project's group `submariner.io`, version v1: plural, kind, scope.
const SUBMARINER: [(&str, &str, &str); 6] = [
    ("gateways", "Gateway", "Namespaced"),
    ("clusters", "Cluster", "Namespaced"),
    ("endpoints", "Endpoint", "Namespaced"),
    ("globalingressips", "GlobalIngressIP", "Namespaced"),
    ("globalegressips", "GlobalEgressIP", "Namespaced"),
    ("gatewayroutes", "GatewayRoute", "Namespaced"),
];

fn tree() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn helm(args: &[&str]) -> Said {
    ask::host(Host::Workstation, &[&["helm"], args].concat()).unwrap()
}

fn helm_ok(args: &[&str]) -> String {
    let said = helm(args);
    assert!(said.success, "helm {args:?}: {}", said.stderr);
    said.stdout + &said.stderr
}

fn kubectl(args: &[&str]) -> String {
    ask::cluster_ok(args, "").unwrap()
}

fn apply(object: &Value) {
    ask::cluster_ok(&["apply", "-f", "-"], &object.to_string()).unwrap();
}

fn crd(plural: &str, kind: &str, scope: &str, version: &str) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.submariner.io")},
        "spec": {
            "group": "submariner.io",
            "scope": scope,
            "names": {"plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List")},
            "versions": [{
                "name": version, "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
            }],
        },
    })
}

/// Puts a token of the present ServiceAccount on the gateway host.
fn give_gateway_a_token() {
    let token = kubectl(&[
        "create",
        "token",
        "extconn-gateway",
        "-n",
        NAMESPACE,
        "--duration=24h",
    ]);
    let line = format!(
        "umask 077; f=/var/lib/extconn/token; printf %s '{token}' >$f.new && \
         chown extconn:extconn $f.new && mv $f.new $f && systemctl restart extconn-gateway"
    );
    let said = ask::host(Host::Gateway, &["bash", "-c", &line]).unwrap();
    assert!(said.success, "{}", said.stderr);
}

/// Pods that ask the external server, again and again, over a new connection each time.
struct Traffic {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicU32>,
    failures: Arc<Mutex<Vec<String>>>,
    asking: Vec<JoinHandle<()>>,
}

impl Traffic {
    fn start(scenario: &Scenario) -> Self {
        let (stop, asked) = (Arc::<AtomicBool>::default(), Arc::<AtomicU32>::default());
        let failures = Arc::<Mutex<Vec<String>>>::default();
        let asking = scenario.sources.clone().map(|source| {
            let (stop, asked, failures) = (stop.clone(), asked.clone(), failures.clone());
            let scenario = scenario.clone();
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let word = access::unique_word();
                    let said =
                        egress::get(&scenario, &source.namespace, &source.pod, &word).unwrap();
                    asked.fetch_add(1, Ordering::Relaxed);
                    if !said.stdout.contains(&source.source_ip.to_string()) {
                        let time = format!("{:?}", std::time::SystemTime::now());
                        failures
                            .lock()
                            .unwrap()
                            .push(format!("{time} {}", said.stderr));
                    }
                }
            })
        });
        Self {
            stop,
            asked,
            failures,
            asking: asking.into(),
        }
    }

    /// Ends it; fails if a request did, or was not answered to the right address.
    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for asking in self.asking {
            asking.join().unwrap();
        }
        let failures = self.failures.lock().unwrap();
        let asked = self.asked.load(Ordering::Relaxed);
        assert!(
            failures.is_empty(),
            "{} of {asked} failed: {failures:#?}",
            failures.len()
        );
        eprintln!("{asked} requests, each over a new connection, none failed");
        assert!(asked > 20, "only {asked} requests were made");
    }
}

/// Waits until a forwarder's rollout is over and its pods have, or have not, an annotation.
fn until_rolled_out(scenario: &Scenario, annotation: &str) {
    let deployment = format!("deployment/forwarder-{}", scenario.name);
    let begin = Instant::now();
    loop {
        let path = "-o=jsonpath={.spec.template.metadata.annotations.generation}";
        if kubectl(&["get", "-n", NAMESPACE, &deployment, path]) == annotation {
            break;
        }
        assert!(
            begin.elapsed() < Duration::from_secs(60),
            "{deployment} does not change"
        );
        std::thread::sleep(Duration::from_millis(500));
    }
    kubectl(&[
        "rollout",
        "status",
        "-n",
        NAMESPACE,
        &deployment,
        "--timeout=120s",
    ]);
}

/// The chart of the version before and the values of its images; those of this one without.
fn before(values: &str) -> (String, Vec<String>) {
    let Some(folder) = std::env::var_os("EXTCONN_BEFORE").map(PathBuf::from) else {
        return (
            tree().join("chart").display().to_string(),
            vec![values.to_owned()],
        );
    };
    let mut sets = vec![];
    for component in ["operator", "forwarder"] {
        let context = tempfile::tempdir().unwrap();
        let program = format!("extconn-{component}");
        std::fs::copy(folder.join(&program), context.path().join(&program)).unwrap();
        let name = format!("localhost/{program}:before");
        let dockerfile = tree().join(component).join("Dockerfile");
        images::load(&images::build(&name, &dockerfile, context.path()).unwrap()).unwrap();
        sets.push(format!("--set={component}.image.tag=before"));
    }
    (folder.join("chart").display().to_string(), sets)
}

#[test]
#[ignore = "takes the installation of a lab away"]
fn an_installation_lives_and_dies_as_the_chart_says() {
    let chart = tree().join("chart").display().to_string();
    let values = helm_ok(&["get", "values", "extconn", "-o", "json"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("values.json");
    let given: Value = serde_json::from_str(&values).unwrap();
    let given = if given.is_object() { given } else { json!({}) };
    std::fs::write(&file, given.to_string()).unwrap();
    let values = format!("--values={}", file.display());

    helm_ok(&["uninstall", "extconn", "--wait", "--timeout=3m"]);
    kubectl(&[&["delete", "crd"], &OUR_CRDS[..]].concat());
    assert_eq!(leftovers::of_chart().unwrap(), Vec::<String>::new());

    refuses_a_foreign_definition(&chart, &values);
    for (plural, kind, scope) in SUBMARINER {
        apply(&crd(plural, kind, scope, "v1"));
    }
    kubectl(&[
        "wait",
        "--for=condition=Established",
        "crd/gateways.submariner.io",
        "--timeout=30s",
    ]);
    let theirs = json!({
        "apiVersion": "submariner.io/v1", "kind": "Gateway",
        "metadata": {"name": "node1", "namespace": "default"}, "spec": {},
    });
    apply(&theirs);

    let (old_chart, old_values) = before(&values);
    let old_values: Vec<&str> = old_values.iter().map(String::as_str).collect();
    helm_ok(
        &[
            &["install", "extconn", &old_chart, "--wait", "--timeout=2m"],
            &old_values[..],
        ]
        .concat(),
    );
    give_gateway_a_token();
    let mut scenario = Scenario::temporary(&format!("life-{:x}", std::process::id()));
    // Not in the connector namespace, which goes with the installation.
    scenario.namespace = scenario.sources[0].namespace.clone();
    workload::create(&scenario).unwrap();
    let other = &scenario.sources[1];
    let consent = format!("extconn.submariner.io/exposed-to={}", scenario.namespace);
    kubectl(&[
        "annotate",
        "service",
        "-n",
        &other.namespace,
        &other.service,
        &consent,
    ]);
    workload::apply(&[scenario.external_service()]).unwrap();
    story::await_ready(&scenario).unwrap();

    refuses_a_second_installation(&chart, &values);
    changes_under_traffic(&scenario, &chart, &values);
    goes_and_says_what_stays(&scenario);

    kubectl(&["get", "gateways.submariner.io", "-n", "default", "node1"]);
    kubectl(&["delete", "gateways.submariner.io", "-n", "default", "node1"]);
    for (plural, _, _) in SUBMARINER {
        kubectl(&["delete", "crd", &format!("{plural}.submariner.io")]);
    }
    installation::install(&Progress::new()).unwrap();
    give_gateway_a_token();
}

fn refuses_a_foreign_definition(chart: &str, values: &str) {
    apply(&crd(
        "externalservices",
        "ExternalService",
        "Namespaced",
        "v1",
    ));
    let refused = helm(&["install", "extconn", chart, values]);
    assert!(!refused.success);
    let sentence = "the CustomResourceDefinition externalservices.submariner.io is there already and is not extconn's";
    assert!(refused.stderr.contains(sentence), "{}", refused.stderr);
    kubectl(&["delete", "crd", OUR_CRDS[0]]);
    assert_eq!(leftovers::of_chart().unwrap(), Vec::<String>::new());
}

fn refuses_a_second_installation(chart: &str, values: &str) {
    let refused = helm(&["install", "another", chart, values, "--namespace=default"]);
    assert!(!refused.success);
    let sentence =
        "extconn is already installed in this cluster, as release extconn of namespace default";
    assert!(refused.stderr.contains(sentence), "{}", refused.stderr);
}

fn changes_under_traffic(scenario: &Scenario, chart: &str, values: &str) {
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
    helm_ok(&[&upgrade[..], &change[..]].concat());
    until_rolled_out(scenario, "2");
    story::await_ready(scenario).unwrap();
    traffic.end();
    ingress::from_external_server(&scenario.sources[0])
        .unwrap()
        .require()
        .unwrap();

    let traffic = Traffic::start(scenario);
    helm_ok(&["rollback", "extconn", "--wait", "--timeout=3m"]);
    until_rolled_out(scenario, "");
    story::await_ready(scenario).unwrap();
    traffic.end();
    ingress::from_external_server(&scenario.sources[1])
        .unwrap()
        .require()
        .unwrap();
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
