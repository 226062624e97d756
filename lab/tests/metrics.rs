//! What running programs export, docs/metrics.md, alert rules and dashboard agree. Needs a lab with
//! extconn in it: `make installation`.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use extconn_lab::topology::Host;
use extconn_lab::walkthrough::{Scenario, ask, dump, egress, scenario, story, workload};

/// Names of metrics in a text, as `docs/metrics.md` spells them: those of a histogram are one.
fn names(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c: char| !is_part(c));
    let metrics =
        words.filter(|word| word.starts_with("extconn_") && word.matches('_').count() > 1);
    let base = |word: &str| {
        let parts = ["_bucket", "_sum", "_count"];
        let histogram = parts.iter().find_map(|part| word.strip_suffix(part));
        histogram.unwrap_or(word).to_owned()
    };
    metrics.map(base).collect()
}

/// Names of the samples of an exposition.
fn exported(exposition: &str) -> BTreeSet<String> {
    let samples = exposition.lines().filter(|line| !line.starts_with('#'));
    let name = |line: &str| line.split(['{', ' ']).next().unwrap_or_default().to_owned();
    names(&samples.map(name).collect::<Vec<_>>().join("\n"))
}

fn tree(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    fs::read_to_string(path).unwrap()
}

/// What the pods of a component export, one text for each pod.
fn of_pods(component: &str) -> Vec<String> {
    let selector = format!("--selector=app.kubernetes.io/component={component}");
    let path = "-o=jsonpath={range .items[*]}{.status.podIP}:\
                {.spec.containers[0].ports[?(@.name==\"http\")].containerPort}{\"\\n\"}{end}";
    let namespace = scenario::CONNECTOR_NAMESPACE;
    let addresses =
        ask::cluster_ok(&["get", "pods", "-n", namespace, &selector, path], "").unwrap();
    let get = |address: &str| {
        let url = format!("http://{address}/metrics");
        let said = ask::host(Host::Node1, &["witness", "get", &url]).unwrap();
        assert!(said.success, "{url}: {}", said.stderr);
        said.stdout
    };
    addresses.lines().map(get).collect()
}

fn of_gateway() -> String {
    let script =
        "exec 3<>/dev/tcp/127.0.0.1/9180; printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3";
    let said = ask::host(Host::Gateway, &["bash", "-c", script]).unwrap();
    assert!(said.stdout.starts_with("HTTP/1.0 200"), "{}", said.stdout);
    said.stdout
}

#[test]
#[ignore = "needs a lab with extconn in it: make installation"]
fn documentation_alerts_and_dashboard_name_what_is_exported_and_nothing_else() {
    let scenario = Scenario::temporary(&format!("metrics-{:x}", std::process::id()));
    workload::create(&scenario).unwrap();
    workload::apply(&[scenario.external_service()]).unwrap();
    let tried = story::await_ready(&scenario)
        .and_then(|()| egress::from_source(&scenario, &scenario.sources[0])?.require());
    if let Err(error) = tried {
        dump::write(&scenario);
        panic!("{error:?}");
    }
    let (operators, forwarders) = (of_pods("operator"), of_pods("forwarder"));
    let gateway = of_gateway();
    workload::delete(&scenario).unwrap();

    let mut running = exported(&gateway);
    for text in operators.iter().chain(&forwarders) {
        running.extend(exported(text));
    }
    assert_eq!(running, names(&tree("docs/metrics.md")));
    for file in ["chart/files/alerts.yaml", "chart/files/dashboard.json"] {
        let unknown: Vec<_> = names(&tree(file)).difference(&running).cloned().collect();
        assert_eq!(unknown, Vec::<String>::new(), "{file}");
    }

    let total = |texts: &[String], sample: &str| -> f64 {
        let lines = texts.iter().flat_map(|text| text.lines());
        lines
            .filter_map(|line| line.strip_prefix(sample)?.trim().parse::<f64>().ok())
            .sum()
    };
    // The request above is in the counts.
    assert!(
        total(
            &forwarders,
            "extconn_forwarder_flows_total{result=\"completed\"}"
        ) >= 1.0
    );
    assert!(
        total(
            std::slice::from_ref(&gateway),
            "extconn_gateway_read_bytes_total"
        ) > 0.0
    );
    assert!(total(&[gateway], "extconn_gateway_api_up") == 1.0);
    assert_eq!(total(&operators, "extconn_operator_leader"), 1.0);
}
