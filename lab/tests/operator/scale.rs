//! A thousand ExternalServices over ten thousand pods: what the operator needs, and what it leaves
//! alone. `EXTCONN_SCALE` says up to how many (1,000 for `make operator-scale`); with
//! `EXTCONN_WRITE` the table goes into that page.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use crate::door::Door;
use crate::process::Operator;
use crate::world::{World, external_service, namespace, number, service, until};

const PODS_OF_A_SERVICE: usize = 10;
const OF_A_SOURCE_IP: usize = 10;
const LIMIT: Duration = Duration::from_secs(400);

/// What was measured with so many ExternalServices.
struct Row {
    count: usize,
    set_up: Duration,
    resync: Duration,
    requests: usize,
    peak_kib: u64,
    resident_kib: u64,
}

fn name(i: usize) -> String {
    format!("es-{i:04}")
}

fn source_ip(i: usize) -> String {
    let at = i / OF_A_SOURCE_IP;
    format!("198.18.{}.{}", at / 250, 1 + at % 250)
}

fn slice(i: usize, pods: usize) -> Value {
    let endpoints: Vec<Value> = (0..pods)
        .map(|pod| {
            let at = i * PODS_OF_A_SERVICE + pod;
            json!({
                "addresses": [format!("10.244.{}.{}", at / 250, 1 + at % 250)],
                "conditions": {"ready": true},
            })
        })
        .collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "namespace": "shop", "name": name(i),
            "labels": {"kubernetes.io/service-name": name(i)},
        },
        "addressType": "IPv4", "endpoints": endpoints, "ports": [{"name": "p80", "port": 80}],
    })
}

async fn for_each(indexes: std::ops::Range<usize>, work: impl AsyncFn(usize)) {
    let work = &work;
    stream::iter(indexes)
        .for_each_concurrent(16, |i| work(i))
        .await;
}

/// What users and the EndpointSlice controller make.
async fn order(world: &World, indexes: std::ops::Range<usize>) {
    for_each(indexes, async |i| {
        world.put(&service("shop", &name(i), &[80])).await;
        world.put(&slice(i, PODS_OF_A_SERVICE)).await;
        let target = format!("203.0.113.{}", 1 + i % OF_A_SOURCE_IP);
        let sources = [("shop", &*name(i), &*source_ip(i))];
        let object = external_service(("shop", &name(i)), &target, &sources, &[5432]);
        world.put(&object).await;
    })
    .await;
}

/// What kubelets, forwarders and gateways report.
async fn report(world: &World, indexes: std::ops::Range<usize>) {
    for_each(indexes, async |i| {
        let name = name(i);
        until("its forwarder is made", LIMIT, async || {
            world.deployment(&name).await
        })
        .await;
        world.forwarder_runs(&name).await;
        world
            .forwarder_reports(&name, &[(&source_ip(i), "Up")])
            .await;
    })
    .await;
}

async fn gateways_report(world: &World, count: usize) {
    let mut ips: Vec<String> = (0..count).map(source_ip).collect();
    ips.dedup();
    for ip in ips {
        world.gateway_reports(&ip, true, "in force").await;
    }
}

async fn until_all_ready(world: &World, count: usize) {
    until("all are ready", LIMIT, async || {
        gateways_report(world, count).await;
        let all = world.users("externalservices").await;
        let ready = all
            .iter()
            .filter(|es| es["status"]["conditions"][4]["status"] == "True");
        (ready.count() == count).then_some(())
    })
    .await;
}

/// Starts an operator where all is done and waits until it has looked at everything.
async fn resync(world: &World, door: &Door, count: usize) -> (Operator, Duration, usize) {
    let identity = format!("resync-{count}");
    let (begin, began) = (Instant::now(), Timestamp::now());
    let filter = "info,extconn_operator=debug";
    let operator = Operator::start_logging(world, door, &identity, filter);
    let ended = until("it has looked at all", LIMIT, async || {
        if operator.said().matches("\"reconciled\"").count() < count {
            return None;
        }
        // Some are looked at twice.
        let mut first = BTreeMap::new();
        for line in operator.logged() {
            if line["message"] == "reconciled" {
                let at: Timestamp = line["timestamp"].as_str().unwrap().parse().unwrap();
                first
                    .entry(line["external_service"].to_string())
                    .or_insert(at);
            }
        }
        (first.len() == count).then(|| first.into_values().max().unwrap())
    })
    .await;
    let took = Duration::try_from(ended.duration_since(began)).unwrap();
    let requests = door.since(begin);
    let writes: Vec<_> = requests.iter().filter(|r| r.is_write()).collect();
    assert!(writes.is_empty(), "a resync writes: {writes:?}");
    (operator, took, requests.len())
}

async fn measured(world: &World, door: &Door, from: usize, count: usize) -> Row {
    let operator = Operator::start(world, door, &format!("set-up-{count}"));
    let begin = Instant::now();
    order(world, from..count).await;
    report(world, from..count).await;
    until_all_ready(world, count).await;
    let set_up = begin.elapsed();
    assert!(operator.stop().await.success());
    let (operator, resync, requests) = resync(world, door, count).await;
    let (peak_kib, resident_kib) = operator.memory();

    // Every tenth Service loses a pod, then gets it back.
    let begin = Instant::now();
    for pods in [PODS_OF_A_SERVICE - 1, PODS_OF_A_SERVICE] {
        for_each(0..count / 10, async |i| {
            world.put(&slice(i * 10, pods)).await;
        })
        .await;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut requests_for_pods = door.since(begin);
    requests_for_pods.retain(|request| !request.path.contains("/leases"));
    assert!(requests_for_pods.is_empty(), "{requests_for_pods:?}");
    assert!(operator.stop().await.success());
    Row {
        count,
        set_up,
        resync,
        requests,
        peak_kib,
        resident_kib,
    }
}

fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| ExternalServices | pods | set up, by the operator and the test's agents | full resync | requests of a resync | memory | peak |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        text.push_str(&format!(
            "| {} | {} | {:.1} s | {:.2} s | {} | {:.1} MB | {:.1} MB |\n",
            row.count,
            row.count * PODS_OF_A_SERVICE,
            row.set_up.as_secs_f64(),
            row.resync.as_secs_f64(),
            row.requests,
            row.resident_kib as f64 / 1000.0,
            row.peak_kib as f64 / 1000.0,
        ));
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab's programs: make control-plane"]
async fn the_operator_carries_a_thousand_external_services() {
    let most = usize::try_from(number("EXTCONN_SCALE", 50)).unwrap();
    let world = World::new().await;
    world.apply(&[namespace("shop")]);
    let door = world.door().await;
    let mut rows: Vec<Row> = vec![];
    for count in [10, 50, 100, 300, 1000] {
        if count <= most && (count != 50 || most == 50) {
            let from = rows.last().map_or(0, |row| row.count);
            rows.push(measured(&world, &door, from, count).await);
            println!("{}", table(&rows));
        }
    }
    let last = rows.last().unwrap();
    assert!(last.peak_kib < 150_000, "{} KiB", last.peak_kib);
    assert!(last.resync < Duration::from_secs(10), "{:?}", last.resync);
    if let Ok(page) = std::env::var("EXTCONN_WRITE") {
        let text = fs::read_to_string(&page).unwrap();
        let (begin, end) = (
            "<!-- operator-scale: begin -->\n",
            "<!-- operator-scale: end -->",
        );
        let (before, rest) = text.split_once(begin).unwrap();
        let (_, after) = rest.split_once(end).unwrap();
        fs::write(
            page,
            format!("{before}{begin}\n{}\n{end}{after}", table(&rows)),
        )
        .unwrap();
    }
}
