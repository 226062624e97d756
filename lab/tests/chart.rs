//! The chart without a cluster: lint, what it renders for many values, and what its schema refuses.
//! Needs the lab's helm: `make installation`.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use extconn_lab::progress::Progress;
use extconn_lab::supply;
use extconn_lab::walkthrough::ask::Said;
use serde_json::Value;

fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../chart")
}

fn helm(args: &[&str]) -> Said {
    let helm = supply::program(&Progress::new(), "helm").expect("the lab has helm");
    Command::new(helm).args(args).output().unwrap().into()
}

fn template(args: &[&str]) -> Said {
    let chart = chart().display().to_string();
    helm(&[&["template", "extconn", &chart], args].concat())
}

/// The objects that the chart renders.
fn rendered(args: &[&str]) -> Vec<Value> {
    let said = template(args);
    assert!(said.success, "{args:?}: {}", said.stderr);
    let documents = said.stdout.split("\n---\n");
    let parsed =
        documents.map(|text| serde_yaml::from_str::<Value>(text.trim_start_matches("---")));
    let parsed =
        parsed.map(|document| document.unwrap_or_else(|error| panic!("{args:?}: {error}")));
    parsed.filter(|document| !document.is_null()).collect()
}

fn kind_and_name(object: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&object["kind"]), text(&object["metadata"]["name"]))
}

const PROMETHEUS: &str = "--api-versions=monitoring.coreos.com/v1";

/// Values that people set, each by itself; all of them together are one more case.
const MATRIX: &[&[&str]] = &[
    &[],
    &["--set=connectorNamespace.name=net,connectorNamespace.create=false"],
    &["--namespace=external-services"],
    &["--set=crds.enabled=false"],
    &["--set=crds.keep=false"],
    &["--set=cleanup.enabled=false"],
    &["--set=operator.replicas=1,forwarder.replicas=1"],
    &["--set=operator.replicas=3,forwarder.replicas=4"],
    &[
        "--set=operator.image.digest=sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ],
    &["--set=forwarder.image.registry=registry.example.com:5000/team,forwarder.image.tag=v2"],
    &["--set=imagePullPolicy=Always,imagePullSecrets[0].name=one,imagePullSecrets[1].name=two"],
    &["--set=extraLabels.team=platform,extraAnnotations.example\\.com/note=hello"],
    &["--set=operator.priorityClassName=system-cluster-critical,forwarder.priorityClassName=high"],
    &["--set=operator.tolerations[0].operator=Exists,forwarder.tolerations[0].operator=Exists"],
    &[
        "--set-json=forwarder.affinity={\"podAntiAffinity\":{}}",
        "--set-json=operator.affinity={\"nodeAffinity\":{}}",
    ],
    &["--set-json=forwarder.resources={\"requests\":{\"cpu\":1},\"limits\":{\"memory\":\"1Gi\"}}"],
    &[
        "--set-json=forwarder.topologySpreadConstraints=[{\"maxSkew\":1,\"topologyKey\":\"zone\",\"whenUnsatisfiable\":\"DoNotSchedule\"}]",
    ],
    &["--set=networkPolicy.enabled=true"],
    &[
        "--set=monitoring.podMonitor.enabled=true,monitoring.alerts.enabled=true",
        PROMETHEUS,
    ],
    &["--set=monitoring.dashboard.enabled=true"],
    &[
        "--set=rbac.aggregateToView=false,rbac.lookUpPods=false,logFormat=text,operator.log=info\\,kube=debug",
    ],
];

/// All of the matrix at once, where that makes sense.
fn everything() -> Vec<&'static str> {
    let solo = [
        "crds.",
        "connectorNamespace",
        "replicas=1",
        "--namespace",
        "cleanup.",
    ];
    let all = MATRIX.iter().copied().flatten().copied();
    all.filter(|arg| !solo.iter().any(|word| arg.contains(word)))
        .collect()
}

#[test]
#[ignore = "needs the lab's helm: make installation"]
fn every_combination_passes_the_linter_and_renders_objects_that_differ() {
    let chart = chart().display().to_string();
    let everything = everything();
    for args in MATRIX.iter().copied().chain([everything.as_slice()]) {
        let values: Vec<_> = args
            .iter()
            .copied()
            .filter(|a| a.starts_with("--set"))
            .collect();
        let linted = helm(&[&["lint", "--strict", &chart], values.as_slice()].concat());
        let needs_api = args.contains(&PROMETHEUS);
        assert!(linted.success || needs_api, "{args:?}: {}", linted.stdout);
        let objects = rendered(args);
        let names: BTreeSet<_> = objects.iter().map(kind_and_name).collect();
        assert_eq!(
            names.len(),
            objects.len(),
            "{args:?}: two objects of one name"
        );
    }
}

#[test]
#[ignore = "needs the lab's helm: make installation"]
fn every_pod_meets_the_restricted_standard() {
    for object in rendered(&everything()) {
        let spec = &object["spec"]["template"]["spec"];
        if !spec.is_object() {
            continue;
        }
        let (kind, name) = kind_and_name(&object);
        let pod = &spec["securityContext"];
        assert_eq!(pod["runAsNonRoot"], true, "{kind} {name}");
        assert_eq!(
            pod["seccompProfile"]["type"], "RuntimeDefault",
            "{kind} {name}"
        );
        for container in spec["containers"].as_array().unwrap() {
            let context = &container["securityContext"];
            assert_eq!(context["allowPrivilegeEscalation"], false, "{kind} {name}");
            assert_eq!(context["readOnlyRootFilesystem"], true, "{kind} {name}");
            assert_eq!(context["capabilities"]["drop"][0], "ALL", "{kind} {name}");
        }
        assert_eq!(
            spec["priorityClassName"], "system-cluster-critical",
            "{kind} {name}"
        );
    }
}

#[test]
#[ignore = "needs the lab's helm: make installation"]
fn extra_labels_and_annotations_are_on_every_object() {
    for object in rendered(&everything()) {
        let metadata = &object["metadata"];
        assert_eq!(metadata["labels"]["team"], "platform", "{metadata}");
        assert_eq!(
            metadata["annotations"]["example.com/note"], "hello",
            "{metadata}"
        );
    }
}

#[test]
#[ignore = "needs the lab's helm: make installation"]
fn what_is_set_for_forwarders_reaches_the_operator() {
    let operator = rendered(&everything())
        .into_iter()
        .find(|object| kind_and_name(object) == ("Deployment".into(), "extconn-operator".into()))
        .unwrap();
    let env = operator["spec"]["template"]["spec"]["containers"][0]["env"].clone();
    let env = env.as_array().unwrap().clone();
    let pod = env.iter().find(|v| v["name"] == "FORWARDER_POD").unwrap();
    let pod: Value = serde_json::from_str(pod["value"].as_str().unwrap()).unwrap();
    assert_eq!(pod["labels"]["team"], "platform");
    assert_eq!(pod["annotations"]["example.com/note"], "hello");
    assert_eq!(pod["priorityClassName"], "high");
    assert_eq!(pod["tolerations"][0]["operator"], "Exists");
    assert_eq!(pod["resources"]["requests"]["cpu"], "1");
    assert_eq!(pod["nodeSelector"]["kubernetes.io/os"], "linux");
    assert_eq!(pod["topologySpreadConstraints"][0]["topologyKey"], "zone");
    let secrets = env
        .iter()
        .find(|v| v["name"] == "FORWARDER_IMAGE_PULL_SECRETS");
    assert_eq!(secrets.unwrap()["value"], "one,two");
    let image = env.iter().find(|v| v["name"] == "FORWARDER_IMAGE").unwrap();
    assert_eq!(
        image["value"],
        "registry.example.com:5000/team/extconn-forwarder:v2"
    );
}

/// A wrong value, and the words by which it is refused: where it is, and what is wrong.
const WRONG: &[(&str, &[&str])] = &[
    (
        "--set=trustedNamespaces={Platform}",
        &["/trustedNamespaces/0", "pattern"],
    ),
    (
        "--set=admission.enabled=maybe",
        &["/admission/enabled", "boolean"],
    ),
    ("--set=operater.log=info", &["operater", "not allowed"]),
    (
        "--set=operator.replica=3",
        &["/operator", "replica", "not allowed"],
    ),
    (
        "--set=operator.replicas=0",
        &["/operator/replicas", "minimum"],
    ),
    (
        "--set=operator.replicas=many",
        &["/operator/replicas", "integer"],
    ),
    (
        "--set=forwarder.replicas=101",
        &["/forwarder/replicas", "maximum"],
    ),
    (
        "--set=forwarder.replicas=1.5",
        &["/forwarder/replicas", "integer"],
    ),
    (
        "--set=operator.concurrency=0",
        &["/operator/concurrency", "minimum"],
    ),
    (
        "--set=imagePullPolicy=Sometimes",
        &["/imagePullPolicy", "'Always'"],
    ),
    (
        "--set=imagePullSecrets[0]=registry",
        &["/imagePullSecrets/0", "object"],
    ),
    (
        "--set=imagePullSecrets[0].name=Registry_1",
        &["/imagePullSecrets/0/name", "Registry_1"],
    ),
    (
        "--set=operator.image.digest=sha256:abc",
        &["/operator/image/digest", "sha256:abc"],
    ),
    (
        "--set=forwarder.image.tag=-x",
        &["/forwarder/image/tag", "-x"],
    ),
    (
        "--set=operator.image.repository=",
        &["/operator/image/repository"],
    ),
    (
        "--set=operator.image.registry=http://example.com",
        &["/operator/image/registry", "http://example.com"],
    ),
    (
        "--set=connectorNamespace.name=External_Services",
        &["/connectorNamespace/name", "External_Services"],
    ),
    (
        "--set=connectorNamespace.create=maybe",
        &["/connectorNamespace/create", "boolean"],
    ),
    (
        "--set-string=crds.enabled=true",
        &["/crds/enabled", "boolean"],
    ),
    ("--set=logFormat=xml", &["/logFormat", "'json'"]),
    ("--set=operator.log=loud", &["/operator/log", "loud"]),
    (
        "--set=cleanup.timeoutSeconds=5",
        &["/cleanup/timeoutSeconds", "minimum"],
    ),
    ("--set=extraLabels.team=a b", &["/extraLabels/team", "a b"]),
    (
        "--set=forwarder.resources.limits.memory=lots",
        &["/forwarder/resources/limits/memory", "lots"],
    ),
    (
        "--set=operator.resources.limit.memory=1Gi",
        &["/operator/resources", "limit"],
    ),
    (
        "--set=forwarder.tolerations[0].effect=NoStart",
        &["/forwarder/tolerations/0/effect", "'NoSchedule'"],
    ),
    (
        "--set=forwarder.nodeSelector.gpu=true",
        &["/forwarder/nodeSelector/gpu", "string"],
    ),
    (
        "--set=operator.priorityClassName=Very High",
        &["/operator/priorityClassName", "Very High"],
    ),
    (
        "--set=networkPolicy.gatewayPorts[0]=70000",
        &["/networkPolicy/gatewayPorts/0", "maximum"],
    ),
    (
        "--set=networkPolicy.gateways[0]=192.0.2.1",
        &["/networkPolicy/gateways/0", "192.0.2.1"],
    ),
    (
        "--set=monitoring.podMonitor.interval=often",
        &["/monitoring/podMonitor/interval", "often"],
    ),
];

#[test]
#[ignore = "needs the lab's helm: make installation"]
fn a_wrong_value_is_refused_with_its_name_and_what_is_wrong() {
    for (wrong, words) in WRONG {
        let said = template(&[wrong]);
        assert!(!said.success, "{wrong} is accepted");
        for word in *words {
            assert!(
                said.stderr.contains(word),
                "{wrong}: no {word:?} in {}",
                said.stderr
            );
        }
    }
}

#[test]
#[ignore = "needs the lab's helm: make installation"]
fn what_no_schema_can_see_is_refused_in_a_sentence() {
    let monitors = "--set=monitoring.podMonitor.enabled=true";
    for (args, sentence) in [
        (
            monitors,
            "monitoring.podMonitor.enabled needs the Prometheus operator",
        ),
        (
            "--set=connectorNamespace.name=kube-system",
            "namespaces that begin with kube- are Kubernetes' own",
        ),
    ] {
        let said = template(&[args]);
        assert!(
            !said.success && said.stderr.contains(sentence),
            "{args}: {}",
            said.stderr
        );
    }
}

#[test]
#[ignore = "needs the lab's helm: make installation"]
fn every_value_has_a_comment() {
    let text = std::fs::read_to_string(chart().join("values.yaml")).unwrap();
    let mut before = "";
    let mut uncommented = vec![];
    for line in text.lines() {
        let is_leaf = line.split_once(": ").is_some() && !line.trim_start().starts_with(['#', '-']);
        // Values inside one that has a comment, such as a default of resources, need none.
        let depth = line.len() - line.trim_start().len();
        if is_leaf && depth <= 2 && !before.trim_start().starts_with('#') {
            uncommented.push(line);
        }
        before = line;
    }
    assert_eq!(uncommented, Vec::<&str>::new());
}

#[test]
#[ignore = "needs the lab's helm: make installation"]
fn prometheus_takes_the_alert_rules() {
    let rules = chart().join("files/alerts.yaml");
    let checked = Command::new("promtool")
        .args(["check", "rules"])
        .arg(rules)
        .output();
    let said: Said = checked.expect("the package prometheus is installed").into();
    assert!(said.success, "{}", said.stderr);
}
