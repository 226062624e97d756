//! About a hundred custom resources that cannot work. The API server refuses each with a sentence
//! that names the field, or the operator answers with a condition. Nothing is half applied: when
//! they are deleted, nothing is left of any.

use std::time::Duration;

use serde_json::{Value, json};

use crate::process::Operator;
use crate::snapshot::{difference, snapshot};
use crate::world::{World, external_service, namespace, service, until};

/// The same object with one thing changed.
fn with(change: impl FnOnce(&mut Value)) -> Value {
    let sources = [("shop", "web", "192.0.2.10")];
    let mut object = external_service(("shop", "order"), "203.0.113.7", &sources, &[8000]);
    change(&mut object);
    object
}

fn spec(field: &str, value: Value) -> Value {
    with(|object| object["spec"][field] = value)
}

fn port(port: Value) -> Value {
    spec("ports", json!([port]))
}

fn source(service: Value, source_ip: &str) -> Value {
    spec(
        "sources",
        json!([{"service": service, "sourceIP": source_ip}]),
    )
}

fn without(field: &str) -> Value {
    with(|object| drop(object["spec"].as_object_mut().unwrap().remove(field)))
}

fn named(name: &str) -> Value {
    with(|object| object["metadata"]["name"] = json!(name))
}

/// Addresses that are none, or none that a packet could have.
const NO_ADDRESSES: [&str; 25] = [
    "256.1.1.1",
    "1.2.3",
    "1.2.3.4.5",
    "010.0.0.1",
    "1.2.3.04",
    "0x7f000001",
    "2130706433",
    "::1",
    "2001:db8::1",
    "fe80::1%eth0",
    "::ffff:10.0.0.1",
    "0.0.0.0",
    "127.0.0.1",
    "169.254.169.254",
    "224.0.0.1",
    "239.255.255.255",
    "255.255.255.255",
    "203.0.113.0/24",
    " 203.0.113.7",
    "203.0.113.7 ",
    "٢٠٣.0.113.7",
    "２０３.0.113.7",
    "db.example.com",
    "1.2.3.4 -j ACCEPT\n-A",
    "",
];

/// What the API server refuses, and words of its sentence.
fn refused() -> Vec<(Value, Vec<&'static str>)> {
    let mut cases = vec![];
    let mut add = |object: Value, words: &[&'static str]| cases.push((object, words.to_vec()));
    for address in NO_ADDRESSES {
        add(
            spec("targetIP", json!(address)),
            &["spec.targetIP", "for example 203.0.113.7"],
        );
        let web = json!({"name": "web"});
        add(
            source(web, address),
            &["spec.sources[0].sourceIP", "for example 192.0.2.10"],
        );
    }
    // Missing, empty, null, of another type, unknown.
    add(
        with(|o| drop(o.as_object_mut().unwrap().remove("spec"))),
        &["spec: Required value"],
    );
    add(with(|o| o["spec"] = Value::Null), &["spec"]);
    add(
        with(|o| o["spec"] = json!({})),
        &["spec.targetIP: Required value", "spec.sources: Required"],
    );
    add(
        with(|o| o["spec"] = json!("all of it")),
        &["spec", "must be of type object"],
    );
    for field in ["targetIP", "sources", "ports"] {
        add(without(field), &["Required value"]);
        add(spec(field, Value::Null), &["spec"]);
        add(spec(field, json!(7)), &["must be of type"]);
    }
    add(
        spec("bidirectional", json!("no")),
        &["spec.bidirectional", "boolean"],
    );
    add(
        spec("targetIp", json!("203.0.113.7")),
        &["unknown field \"spec.targetIp\""],
    );
    add(
        spec("replicas", json!(3)),
        &["unknown field \"spec.replicas\""],
    );
    // Ports.
    let one = |value: Value| json!({"port": value});
    add(
        port(one(json!(0))),
        &["spec.ports[0].port", "greater than or equal to 1"],
    );
    add(
        port(one(json!(-1))),
        &["spec.ports[0].port", "greater than or equal to 1"],
    );
    add(
        port(one(json!(65536))),
        &["spec.ports[0].port", "less than or equal to 65535"],
    );
    add(
        port(one(json!(99_999_999_999_u64))),
        &["spec.ports[0].port"],
    );
    add(port(one(json!("http"))), &["spec.ports[0].port", "integer"]);
    add(port(one(json!(80.5))), &["spec.ports[0].port", "integer"]);
    add(port(json!({})), &["spec.ports[0].port: Required value"]);
    add(
        port(json!({"port": 80, "targetPort": 0})),
        &["spec.ports[0].targetPort"],
    );
    add(
        port(json!({"port": 80, "targetPort": 65536})),
        &["spec.ports[0].targetPort"],
    );
    for protocol in ["tcp", "UDP", "SCTP", "", "TCP "] {
        let words = ["spec.ports[0].protocol", "supported values: \"TCP\""];
        add(port(json!({"port": 80, "protocol": protocol})), &words);
    }
    add(spec("ports", json!([])), &["spec.ports", "at least 1"]);
    let same = json!([{"port": 80}, {"port": 80}]);
    add(
        spec("ports", same),
        &["spec.ports", "targetPort more than once"],
    );
    let same = json!([{"port": 80}, {"port": 81, "targetPort": 80}]);
    add(
        spec("ports", same),
        &["spec.ports", "targetPort more than once"],
    );
    let many: Vec<Value> = (1..=1000).map(|port| json!({"port": port})).collect();
    add(spec("ports", json!(many)), &["spec.ports", "at most 32"]);
    // Sources.
    add(spec("sources", json!([])), &["spec.sources", "at least 1"]);
    let item = |name: String| json!({"service": {"name": name}, "sourceIP": "192.0.2.10"});
    let many: Vec<Value> = (0..10_000).map(|i| item(format!("s{i}"))).collect();
    add(
        spec("sources", json!(many)),
        &["spec.sources", "at most 64"],
    );
    let twice = json!([item("web".into()), item("web".into())]);
    add(spec("sources", twice), &["spec.sources", "more than once"]);
    add(
        source(json!({}), "192.0.2.10"),
        &["spec.sources[0].service.name: Required value"],
    );
    for name in ["", "Web", "web.shop", "-web", "web_1", "веб", "web\n"] {
        let words = [
            "spec.sources[0].service.name",
            "must be the name of a Service",
        ];
        add(source(json!({"name": name}), "192.0.2.10"), &words);
    }
    for namespace in ["", "Shop", "a/b", "shop "] {
        let words = [
            "spec.sources[0].service.namespace",
            "must be the name of a namespace",
        ];
        add(
            source(json!({"name": "web", "namespace": namespace}), "192.0.2.10"),
            &words,
        );
    }
    let words = ["targetIP is a sourceIP too"];
    add(source(json!({"name": "web"}), "203.0.113.7"), &words);
    // Names.
    for name in [
        "a.b",
        "1e3",
        "0123",
        "order-",
        "Order",
        &"a".repeat(51),
        &"a".repeat(253),
    ] {
        add(named(name), &["name"]);
    }
    add(named("🚀"), &["metadata.name"]);
    // Larger than etcd takes.
    let heavy = with(|o| o["metadata"]["annotations"] = json!({"a": "x".repeat(1_600_000)}));
    add(heavy, &["annotations", "262144"]);
    cases
}

/// What is accepted by the API server: the name, what to create, and how the operator answers:
/// a condition's type, status, and words of its message.
type Answered = (
    &'static str,
    Value,
    &'static str,
    &'static str,
    Vec<&'static str>,
);

fn answered() -> Vec<Answered> {
    let mut cases: Vec<Answered> = vec![];
    let mut next = 20;
    let mut add = |name: &'static str, service: &str, type_, status, words: &[&'static str]| {
        next += 1;
        let sources = [("shop", service, &*format!("192.0.2.{next}"))];
        let object = external_service(("shop", name), "203.0.113.7", &sources, &[8000]);
        cases.push((name, object, type_, status, words.to_vec()));
    };
    let resolved = "SourcesResolved";
    add("fine", "web", resolved, "True", &["shop/web"]);
    add(
        "missing",
        "nowhere",
        resolved,
        "False",
        &["shop/nowhere", "create it"],
    );
    add(
        "headless",
        "headless",
        resolved,
        "False",
        &["shop/headless", "bidirectional"],
    );
    add(
        "elsewhere",
        "elsewhere",
        resolved,
        "False",
        &["shop/elsewhere", "ExternalName"],
    );
    // Whoever makes its EndpointSlices says who is behind it.
    add(
        "selectorless",
        "selectorless",
        resolved,
        "True",
        &["shop/selectorless"],
    );
    add("dual", "dual", resolved, "True", &["shop/dual"]);
    add("portless", "udp-only", resolved, "True", &["shop/udp-only"]);
    // Words that YAML takes for something else.
    add("on", "no", resolved, "True", &["shop/no"]);
    add("no", "on", resolved, "True", &["shop/on"]);
    add("null", "web", resolved, "True", &["shop/web"]);
    add("gone", "leaving", resolved, "True", &["shop/leaving"]);
    let mut crowd = external_service(("shop", "crowd"), "203.0.113.8", &[], &[8000]);
    let sources = (0..64).map(|i| {
        json!({"service": {"name": format!("s{i}")}, "sourceIP": format!("192.0.2.{}", 100 + i)})
    });
    crowd["spec"]["sources"] = sources.collect();
    let ports = (0..32).map(|i| json!({"port": 65504 + i}));
    crowd["spec"]["ports"] = ports.collect();
    cases.push((
        "crowd",
        crowd,
        resolved,
        "False",
        vec!["shop/s0", "shop/s63"],
    ));
    let mut noted = external_service(
        ("shop", "noted"),
        "203.0.113.9",
        &[("shop", "web", "192.0.2.99")],
        &[1],
    );
    noted["metadata"]["annotations"] = json!({
        "note": "\u{202e}evil\u{202c} 🚀 \u{1b}[31m", "large": "x".repeat(200_000),
    });
    cases.push(("noted", noted, resolved, "True", vec!["shop/web"]));
    // Targets that are of this cluster too: another network may have the same addresses.
    let mut add = |name: &'static str, target, last, words: &[&'static str]| {
        let sources = [("shop", "web", &*format!("192.0.2.{last}"))];
        let object = external_service(("shop", name), target, &sources, &[8000]);
        cases.push((name, object, "Accepted", "True", words.to_vec()));
    };
    let words = [
        "targetIP 10.96.7.9",
        "cluster IP of Service shop/fixed",
        "if you mean",
    ];
    add("at-service", "10.96.7.9", 97, &words);
    let words = [
        "targetIP 172.30.0.11",
        "an address of node node1",
        "if that is not",
    ];
    add("at-node", "172.30.0.11", 98, &words);
    cases
}

fn services() -> Vec<Value> {
    let mut headless = service("shop", "headless", &[80]);
    headless["spec"]["clusterIP"] = json!("None");
    let mut elsewhere = service("shop", "elsewhere", &[80]);
    elsewhere["spec"] = json!({"type": "ExternalName", "externalName": "example.com"});
    let mut selectorless = service("shop", "selectorless", &[80]);
    selectorless["spec"]
        .as_object_mut()
        .unwrap()
        .remove("selector");
    let mut dual = service("shop", "dual", &[80]);
    dual["spec"]["ipFamilyPolicy"] = json!("PreferDualStack");
    let mut udp = service("shop", "udp-only", &[53]);
    udp["spec"]["ports"][0]["protocol"] = json!("UDP");
    let plain = ["web", "on", "no", "leaving"].map(|name| service("shop", name, &[80]));
    let mut fixed = service("shop", "fixed", &[80]);
    fixed["spec"]["clusterIP"] = json!("10.96.7.9");
    [headless, elsewhere, selectorless, dual, udp, fixed]
        .into_iter()
        .chain(plain)
        .collect()
}

const SOON: Duration = Duration::from_secs(30);

async fn until_judged(world: &World, name: &str, type_: &str) -> Value {
    until(&format!("{name} is judged"), SOON, async || {
        let object = world.external_service("shop", name).await;
        let conditions = object["status"]["conditions"].as_array()?;
        let found = conditions.iter().find(|c| c["type"] == type_)?;
        let current = found["observedGeneration"] == object["metadata"]["generation"];
        current.then(|| found.clone())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab's programs: make control-plane"]
async fn bad_input_is_refused_with_a_sentence_or_answered_by_a_condition() {
    let world = World::new().await;
    world.apply(&[namespace("shop")]);
    world.apply(&services());
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node1"}});
    world.apply(std::slice::from_ref(&node));
    let addresses = json!([{"type": "InternalIP", "address": "172.30.0.11"}]);
    let status = json!({"status": {"addresses": addresses}});
    let path = format!("{}/status", World::path(&node));
    let merge = "application/merge-patch+json";
    world.patch(&path, merge, &status).await.unwrap();
    let door = world.door().await;
    let operator = Operator::start(&world, &door, "operator");
    let cases = refused();
    let mut wrong = vec![];
    for (object, words) in &cases {
        let text: String = object["spec"].to_string().chars().take(160).collect();
        match world.refusal(object).await {
            None => wrong.push(format!("accepted: {text}")),
            Some(said) => {
                let missing = words.iter().filter(|word| !said.contains(**word));
                wrong.extend(
                    missing.map(|word| format!("{word:?} is not in: {said:.400}\n  for {text}")),
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    // What it keeps whether or not there is an ExternalService.
    let kept = ["extconn-node-addresses", "extconn-permissions"];
    let nothing = until("the operator has begun", SOON, async || {
        let there = snapshot(&world).await;
        let is_there = |name: &&str| there.keys().any(|key| key.ends_with(*name));
        kept.iter().all(is_there).then_some(there)
    })
    .await;
    let answers = answered();
    for (_, object, ..) in &answers {
        world.put(object).await;
    }
    for (name, _, type_, status, words) in &answers {
        let condition = until_judged(&world, name, type_).await;
        assert_eq!(condition["status"], *status, "{name}: {condition}");
        let message = condition["message"].as_str().unwrap();
        for word in words {
            assert!(
                message.contains(word),
                "{name}: {word:?} is not in: {message}"
            );
        }
    }
    strange_turns(&world).await;

    for (_, object, ..) in &answers {
        world.delete(&World::path(object)).await;
    }
    until("all is as before", SOON, async || {
        (snapshot(&world).await == nothing).then_some(())
    })
    .await;
    let left = snapshot(&world).await;
    assert!(left == nothing, "{}", difference(&nothing, &left));
    assert!(!operator.said().contains("panicked"), "{}", operator.said());
    println!("{} refused, {} answered", cases.len(), answers.len());
    assert!(operator.stop().await.success());
}

/// Things that users do to objects that are there.
async fn strange_turns(world: &World) {
    let merge = "application/merge-patch+json";
    let path = |name: &str| World::path(&external_service(("shop", name), "", &[], &[]));
    // A forged status is written over.
    let forged = json!({"status": {"sourceIPs": "everything", "conditions": [{
        "type": "Ready", "status": "True", "reason": "ISaySo", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1_000_000,
    }]}});
    world
        .patch(&format!("{}/status", path("fine")), merge, &forged)
        .await
        .unwrap();
    until("the forged status is gone", SOON, async || {
        let object = world.external_service("shop", "fine").await;
        let text = object["status"].to_string();
        (!text.contains("ISaySo") && !text.contains("everything")).then_some(())
    })
    .await;
    // A finalizer that is taken off comes back.
    let none = json!({"metadata": {"finalizers": []}});
    world.patch(&path("fine"), merge, &none).await.unwrap();
    until("the finalizer is back", SOON, async || {
        let object = world.external_service("shop", "fine").await;
        object["metadata"]["finalizers"].is_array().then_some(())
    })
    .await;
    // A Service that goes, and comes back with other ports.
    let leaving = service("shop", "leaving", &[80]);
    world.delete(&World::path(&leaving)).await;
    until("it is missed", SOON, async || {
        let found = until_judged(world, "gone", "SourcesResolved").await;
        (found["reason"] == "ServiceNotFound").then_some(())
    })
    .await;
    world.put(&service("shop", "leaving", &[8443])).await;
    let forwarders = "/apis/extconn.submariner.io/v1alpha1/namespaces/external-services/forwarders";
    until("its port is followed", SOON, async || {
        let forwarder = world.get_opt(&format!("{forwarders}/gone")).await?;
        (forwarder["spec"]["ingress"][0]["port"] == 8443).then_some(())
    })
    .await;
    // What we made is edited by hand, and made good.
    let edited = json!({"spec": {"egress": [], "sources": []}});
    world
        .patch(&format!("{forwarders}/on"), merge, &edited)
        .await
        .unwrap();
    until("the Forwarder is made good", SOON, async || {
        let forwarder = world.get(&format!("{forwarders}/on")).await;
        (forwarder["spec"]["sources"][0]["service"]["name"] == "no").then_some(())
    })
    .await;
    // Words that YAML takes for something else, as people see them.
    let shown = world.kubectl(&["get", "extsvc", "-n", "shop", "no", "-o", "yaml"], "");
    let read: Value = serde_yaml::from_str(&shown).unwrap();
    assert_eq!(read["metadata"]["name"], "no");
    assert_eq!(read["spec"]["sources"][0]["service"]["name"], "on");
}
