//! How long a pod that becomes ready waits for its first connection with the right source IP.
//!
//! Each pod starts its clock when it answers the kubelet's first readiness probe, connects at that
//! moment, and stops it when it has the whole answer. The kubelet tells the API server that the pod
//! is ready, and mostly which address it has, only after that probe, with many pods at once a second
//! after it: nobody can know the pod before. So there is a second figure, from when a watch says that
//! the pod is ready.
//!
//! `EXTCONN_PODS` says how many pods (1,000 for `make new-pods`); with `EXTCONN_WRITE` the table
//! goes into that page.

#![allow(clippy::unwrap_used)]

mod ready;

use std::collections::HashMap;
use std::fs;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use extconn_lab::AccessLog;
use extconn_lab::kubernetes::POD_IMAGE;
use extconn_lab::topology::EXTERNAL_PORT;
use extconn_lab::walkthrough::ask::{cluster, cluster_ok};
use extconn_lab::walkthrough::scenario::{CONNECTOR_NAMESPACE, Source};
use extconn_lab::walkthrough::{Scenario, access, dump, removal, story, workload};
use ready::ReadyPods;
use serde::Deserialize;
use serde_json::{Value, json};

/// Label of the pods.
const LABEL: &str = "new";
/// How long a batch may take from the first pod made to the last answer.
const BATCH_LIMIT: Duration = Duration::from_secs(240);
/// The goal for pods that come one after another: 99 of 100 have their answer by then.
const GOAL: Duration = Duration::from_millis(400);

/// How the pods of a Service come.
#[derive(Clone, Copy, Debug)]
enum Coming {
    /// The next is made when the one before is ready.
    InTurn,
    /// All of a batch at the same moment. Kubernetes' EndpointSlice controller then finds that it
    /// has not seen its own last write, and waits for some seconds before it tries again.
    Together,
}

impl Coming {
    /// As a StatefulSet calls it.
    fn policy(self) -> &'static str {
        match self {
            Coming::InTurn => "OrderedReady",
            Coming::Together => "Parallel",
        }
    }

    /// Pods of a Service in a batch: nodes hold 110 pods, and other programs run on this machine.
    fn batch(self) -> usize {
        match self {
            Coming::InTurn => 50,
            Coming::Together => 25,
        }
    }

    fn words(self) -> String {
        match self {
            Coming::InTurn => "each when the one before is ready".into(),
            Coming::Together => format!("up to {} at once", self.batch()),
        }
    }
}

/// What a pod says of its first connection.
#[derive(Debug, Deserialize)]
struct First {
    took_ms: f64,
    /// Seconds since 1970 when it had the answer.
    at: f64,
    said: String,
    error: String,
}

/// The first connections of many pods.
#[derive(Default)]
struct Measured {
    /// One for each pod that was answered, to the right address, from its first probe; sorted in the
    /// end.
    took: Vec<Duration>,
    /// The same from when it was ready.
    from_ready: Vec<Duration>,
    /// What the others say.
    failures: Vec<First>,
    /// Pods with an address that a pod of the other Service had before them.
    changed_hands: usize,
    /// The source IP that each pod address stood for last.
    owners: HashMap<String, Ipv4Addr>,
}

impl Measured {
    fn row(&self, coming: Coming) -> String {
        let figures = |sorted| {
            let [p50, p99, slowest] = [0.5, 0.99, 1.0]
                .map(|share| format!("{:.0} ms", quantile(sorted, share).as_secs_f64() * 1e3));
            format!("{p50} | {p99} | {slowest}")
        };
        format!(
            "| {} | {} | {} | {} | {} | {} | 0 |\n",
            coming.words(),
            self.took.len() + self.failures.len(),
            self.changed_hands,
            figures(&self.from_ready),
            figures(&self.took),
            self.failures.len()
        )
    }
}

/// The time within which this share of the pods was answered (nearest rank).
fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

/// Pods behind the Service of a source that connect when they become ready.
fn pods(source: &Source, coming: Coming, count: usize, url: &str) -> Value {
    let labels = json!({"app": source.service, LABEL: "yes"});
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"namespace": source.namespace, "name": "new"},
        "spec": {
            "replicas": count,
            "serviceName": source.service,
            "podManagementPolicy": coming.policy(),
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "automountServiceAccountToken": false,
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{
                        "name": "witness", "image": POD_IMAGE, "imagePullPolicy": "IfNotPresent",
                        "command": ["witness", "first", "-listen=:8080", "-timeout=15s", url],
                        "readinessProbe": {
                            "httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1,
                        },
                    }],
                },
            },
        },
    })
}

/// Waits until `look` finds something.
fn until<T>(what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let begin = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        ensure!(
            begin.elapsed() < BATCH_LIMIT,
            "not within {BATCH_LIMIT:?}: {what}"
        );
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// Waits until the Service of a source has this many endpoints, new and old.
fn until_endpoints(source: &Source, count: usize) -> Result<()> {
    let selector = format!("--selector=kubernetes.io/service-name={}", source.service);
    let addresses = "-o=jsonpath={.items[*].endpoints[*].addresses[*]}";
    let get = [
        "get",
        "endpointslices",
        "-n",
        &source.namespace,
        &selector,
        addresses,
    ];
    until(&format!("{} has {count} endpoints", source.service), || {
        let found = cluster_ok(&get, "")?;
        Ok((found.split_whitespace().count() == count).then_some(()))
    })
}

/// Waits until all new pods of a source have said how their first connection went; with their UIDs.
fn heard(source: &Source, count: usize) -> Result<Vec<(String, First)>> {
    let selector = format!("--selector={LABEL}");
    let of_pods = ["-n", &source.namespace, &selector];
    let logs = [&["logs", "--prefix", "--tail=-1"], &of_pods[..]].concat();
    let lines = until(
        &format!("{count} pods of {} have spoken", source.namespace),
        || {
            // Fails while one of the containers has not started.
            let said = cluster(&logs, "")?;
            let spoken = said.success && said.stdout.lines().count() == count;
            Ok(spoken.then_some(said.stdout))
        },
    )?;
    let names = "-o=jsonpath={range .items[*]}{.metadata.name} {.metadata.uid}{\"\\n\"}{end}";
    let listed = cluster_ok(&[&["get", "pods", names], &of_pods[..]].concat(), "")?;
    let uids: HashMap<&str, &str> = listed
        .lines()
        .filter_map(|line| line.split_once(' '))
        .collect();
    let parse = |line: &str| {
        let (prefix, said) = line.split_once(' ').context("no prefix")?;
        let pod = prefix.split('/').nth(1).context("no pod")?;
        let uid = uids.get(pod).context("no such pod")?;
        Ok(((*uid).to_owned(), serde_json::from_str(said)?))
    };
    let said = lines.lines().map(|line| {
        let parsed: Result<_> = parse(line);
        parsed.with_context(|| format!("a pod said {line:?}"))
    });
    said.collect()
}

/// Makes pods behind both Services, hears how their first connections went, takes them away.
fn one_batch(
    scenario: &Scenario,
    coming: Coming,
    count: usize,
    url: &str,
    measured: &mut Measured,
) -> Result<()> {
    let objects = scenario
        .sources
        .each_ref()
        .map(|source| pods(source, coming, count, url));
    let ready = ReadyPods::watch(LABEL)?;
    workload::apply(&objects)?;
    for source in &scenario.sources {
        let selector = format!("--selector={LABEL}");
        let selected = ["-n", source.namespace.as_str(), &selector];
        let all_ready = "--for=jsonpath={.status.readyReplicas}=".to_owned() + &count.to_string();
        let limit = format!("--timeout={}s", BATCH_LIMIT.as_secs());
        cluster_ok(
            &[
                "wait",
                "-n",
                &source.namespace,
                "statefulset/new",
                &all_ready,
                &limit,
            ],
            "",
        )?;
        for (uid, first) in heard(source, count)? {
            if !first.error.is_empty() {
                measured.failures.push(first);
                continue;
            }
            let right = format!("You are {}.", source.source_ip);
            ensure!(
                first.said.contains(&right),
                "not {}: {first:?}",
                source.source_ip
            );
            let took = Duration::from_secs_f64(first.took_ms / 1000.0);
            measured.took.push(took);
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs_f64(first.at);
            measured.from_ready.push(ready.before(&uid, at)?);
        }
        let addresses = ["get", "pods", "-o=jsonpath={.items[*].status.podIP}"];
        for address in cluster_ok(&[&addresses[..], &selected].concat(), "")?.split_whitespace() {
            let before = measured.owners.insert(address.to_owned(), source.source_ip);
            let changed = before.is_some_and(|ip| ip != source.source_ip);
            measured.changed_hands += usize::from(changed);
        }
    }
    for source in &scenario.sources {
        let delete = ["delete", "statefulset", "new", "--cascade=foreground"];
        cluster_ok(&[&delete[..], &["-n", &source.namespace]].concat(), "")?;
    }
    for source in &scenario.sources {
        until_endpoints(source, 1)?;
    }
    Ok(())
}

fn measure(scenario: &Scenario, coming: Coming, count: usize) -> Result<Measured> {
    // By address: how long the cluster's DNS takes is not ours.
    let address = "-o=jsonpath={.spec.clusterIP}";
    let get = [
        "get",
        "service",
        "-n",
        CONNECTOR_NAMESPACE,
        &scenario.name,
        address,
    ];
    let url = format!("http://{}:{EXTERNAL_PORT}/first", cluster_ok(&get, "")?);
    let mark = AccessLog::mark()?;
    let mut measured = Measured::default();
    let of_each = count / scenario.sources.len();
    for first in (0..of_each).step_by(coming.batch()) {
        let begin = Instant::now();
        let batch = coming.batch().min(of_each - first);
        let before = measured.took.len();
        one_batch(scenario, coming, batch, &url, &mut measured)?;
        let slowest = measured.took[before..].iter().max().unwrap();
        eprintln!(
            "{coming:?}: {} of {count} pods, the slowest of the last {} {slowest:?}; {:?}",
            measured.took.len(),
            2 * batch,
            begin.elapsed()
        );
    }
    let expected = scenario.sources.each_ref().map(|source| source.source_ip);
    let seen = access::peers_since(mark)?;
    ensure!(
        seen.iter().all(|peer| expected.iter().any(|ip| ip == peer)),
        "the external server saw {}",
        access::list(&seen)
    );
    measured.took.sort();
    measured.from_ready.sort();
    Ok(measured)
}

fn measure_both(scenario: &Scenario, count: usize) -> Result<[Measured; 2]> {
    workload::create(scenario)?;
    workload::apply(&[scenario.external_service()])?;
    story::await_ready(scenario)?;
    let in_turn = measure(scenario, Coming::InTurn, count)?;
    eprintln!("{}", in_turn.row(Coming::InTurn));
    let together = measure(scenario, Coming::Together, count.min(200))?;
    Ok([in_turn, together])
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn the_first_connection_of_a_pod_that_becomes_ready_has_the_right_source_ip() {
    let count = std::env::var("EXTCONN_PODS").map_or(40, |text| text.parse().unwrap());
    let scenario = Scenario::temporary(&format!("new-pods-{:x}", std::process::id()));
    let measured = measure_both(&scenario, count);
    if measured.is_err() {
        dump::write(&scenario);
    }
    let removed = workload::delete(&scenario).and_then(|()| removal::leaves_nothing(&scenario));
    let [in_turn, together] = measured.unwrap();
    removed.unwrap().require().unwrap();
    for measured in [&in_turn, &together] {
        assert!(measured.failures.is_empty(), "{:#?}", measured.failures);
    }
    assert_eq!(in_turn.took.len(), count);
    let rows = in_turn.row(Coming::InTurn) + &together.row(Coming::Together);
    println!("{rows}");
    // Of those that come together it is for the most part how fast this machine starts 50 pods.
    for sorted in [&in_turn.took, &in_turn.from_ready] {
        assert!(quantile(sorted, 0.99) <= GOAL, "over {GOAL:?}:\n{rows}");
    }
    if let Ok(page) = std::env::var("EXTCONN_WRITE") {
        write(&page, &rows);
    }
}

fn write(page: &str, rows: &str) {
    let text = fs::read_to_string(page).unwrap();
    let (begin, end) = ("<!-- new-pods: begin -->\n", "<!-- new-pods: end -->");
    let (before, rest) = text.split_once(begin).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    let head = "| pods of a Service come | pods | with an address that the other Service's pods had before | from *Ready*: p50 | p99 | slowest | from the first probe: p50 | p99 | slowest | failed | wrong address |\n\
                |---|---|---|---|---|---|---|---|---|---|---|\n";
    fs::write(page, format!("{before}{begin}\n{head}{rows}\n{end}{after}")).unwrap();
}
