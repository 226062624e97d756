//! A scenario that is ready, and what to ask of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use extconn_lab::topology::Host;
use extconn_lab::walkthrough::{Scenario, ask, dump, egress, removal, story, workload};
use serde_json::Value;

/// Longest wait for anything here: the operator's patience with a silent gateway and some more.
const PATIENCE: Duration = Duration::from_secs(100);
const POLL: Duration = Duration::from_millis(500);

/// Runs `body` on a scenario of its own that is ready, and takes it away afterwards.
pub fn in_scenario(test: &str, body: impl FnOnce(&Scenario) -> Result<()>) {
    let scenario = Scenario::temporary(&format!("{test}-{:x}", std::process::id()));
    let outcome = workload::create(&scenario)
        .and_then(|()| workload::apply(&[scenario.external_service()]))
        .and_then(|()| story::await_ready(&scenario));
    // A test that panics must not stand in the way of the next one.
    let outcome = outcome.and_then(|()| {
        catch_unwind(AssertUnwindSafe(|| body(&scenario)))
            .unwrap_or_else(|_| Err(anyhow!("{test} failed: see above")))
    });
    if outcome.is_err() {
        dump::write(&scenario);
    }
    let removed = workload::delete(&scenario).and_then(|()| removal::leaves_nothing(&scenario));
    if let Err(error) = outcome {
        panic!("{error:?}");
    }
    removed.unwrap().require().unwrap();
}

/// Waits until `look` says nothing is missing; panics with what it said last.
pub fn until(look: impl FnMut() -> Result<(), String>) {
    if let Err(missing) = waited(PATIENCE, look) {
        panic!("{missing}");
    }
}

/// As [`until`], but answers what was missing last.
pub fn waited(
    patience: Duration,
    mut look: impl FnMut() -> Result<(), String>,
) -> Result<(), String> {
    let begin = Instant::now();
    loop {
        match look() {
            Ok(()) => return Ok(()),
            Err(missing) if begin.elapsed() > patience => {
                return Err(format!("after {} s: {missing}", patience.as_secs()));
            }
            Err(_) => std::thread::sleep(POLL),
        }
    }
}

/// One condition of an object as `status reason: message`; empty if it is not there.
pub fn condition(kind: &str, namespace: &str, name: &str, type_: &str) -> String {
    let said = ask::cluster(&["get", kind, "-n", namespace, name, "-o", "json"], "").unwrap();
    let object: Value = serde_json::from_str(&said.stdout).unwrap_or_default();
    let conditions = object["status"]["conditions"].as_array().cloned();
    let conditions = conditions.unwrap_or_default();
    let condition = conditions.iter().find(|c| c["type"] == type_);
    condition.map_or_else(String::new, |c| {
        let text = |field: &str| c[field].as_str().unwrap_or_default().to_owned();
        format!("{} {}: {}", text("status"), text("reason"), text("message"))
    })
}

/// A condition of the Gateway of the scenario's first source IP.
pub fn of_gateway(scenario: &Scenario, type_: &str) -> String {
    let name = scenario.sources[0].source_ip.to_string();
    let kind = "gateways.extconn.submariner.io";
    condition(
        kind,
        extconn_lab::walkthrough::scenario::CONNECTOR_NAMESPACE,
        &name,
        type_,
    )
}

/// A condition of the scenario's ExternalService.
pub fn of_external_service(scenario: &Scenario, type_: &str) -> String {
    condition(
        "externalservice",
        &scenario.namespace,
        &scenario.name,
        type_,
    )
}

/// Waits until a condition begins with some words and holds others.
pub fn until_says(look: impl Fn() -> String, begins: &str, holds: &[&str]) {
    until(|| {
        let said = look();
        let as_wanted = said.starts_with(begins) && holds.iter().all(|word| said.contains(word));
        as_wanted
            .then_some(())
            .ok_or_else(|| format!("{begins:?} {holds:?} is not in {said:?}"))
    });
}

/// Waits until pods of the first source reach the external server from its source IP.
pub fn until_carries(scenario: &Scenario) {
    until(|| {
        let tried = egress::from_source(scenario, &scenario.sources[0]);
        tried
            .and_then(|seen| seen.require())
            .map_err(|error| format!("{error:#}"))
    });
}

/// Runs a shell line on the gateway host; panics if it fails.
pub fn on_gateway(line: &str) -> String {
    let said = ask::host(Host::Gateway, &["bash", "-c", line]).unwrap();
    assert!(said.success, "{line}: {}{}", said.stdout, said.stderr);
    said.stdout
}

/// What the gateway answers to a request of a path, with its status line.
pub fn gateway_says(path: &str) -> String {
    let line = format!(
        "exec 3<>/dev/tcp/127.0.0.1/9180; printf 'GET {path} HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"
    );
    let said = ask::host(Host::Gateway, &["bash", "-c", &line]).unwrap();
    said.stdout
}

/// The value of a metric of the gateway.
pub fn gateway_metric(name: &str) -> Option<f64> {
    let text = gateway_says("/metrics");
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().parse().ok()
}

/// How often systemd has started the gateway again by itself.
pub fn restarts() -> String {
    on_gateway("systemctl show --property=NRestarts --value extconn-gateway")
}
