//! Every reason of every condition, as the API server holds it after the operator has judged: each
//! message names the object, the value and the next step.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use extconn_api::condition::ExternalServiceReason as Reason;
use serde_json::{Value, json};

use crate::door::Door;
use crate::process::Operator;
use crate::snapshot::snapshot;
use crate::world::{CONNECTOR, World, external_service, key, namespace, service, until};

const SOON: Duration = Duration::from_secs(30);
const TARGET: &str = "203.0.113.7";

/// What has been seen so far.
struct Seen<'a> {
    world: &'a World,
    reasons: BTreeSet<String>,
}

fn condition<'a>(object: &'a Value, type_: &str) -> Option<&'a Value> {
    let conditions = object["status"]["conditions"].as_array()?;
    conditions.iter().find(|c| c["type"] == type_)
}

impl Seen<'_> {
    /// Waits for a condition of this reason for the present generation, whose message has all of
    /// `words`.
    async fn expect(&mut self, name: &str, type_: &str, reason: Reason, words: &[&str]) {
        let (namespace, bare) = name.split_once('/').unwrap();
        let reason = reason.to_string();
        let mut last = Value::Null;
        let begin = Instant::now();
        until("the condition", 2 * SOON, async || {
            let object = self.world.external_service(namespace, bare).await;
            last = condition(&object, type_).cloned().unwrap_or_default();
            let late = begin.elapsed() > SOON;
            assert!(
                !late,
                "{name}: {type_} is not {reason} with {words:?}: {last}"
            );
            let current = last["observedGeneration"] == object["metadata"]["generation"];
            let message = last["message"].as_str().unwrap_or_default();
            let says = words.iter().all(|word| message.contains(word));
            (current && last["reason"] == *reason && says).then_some(())
        })
        .await;
        self.reasons.insert(reason);
    }

    /// As `expect`, for a condition that holds back `Ready`, which says the same.
    async fn expect_not(&mut self, name: &str, type_: &str, reason: Reason, words: &[&str]) {
        self.expect(name, type_, reason, words).await;
        self.expect(name, "Ready", reason, words).await;
    }
}

/// Stores an object that the schema of today refuses, as one from before it.
async fn store_past_the_schema(world: &World, object: &Value) {
    let path =
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/externalservices.submariner.io";
    let strict = world.get(path).await;
    let mut loose = strict.clone();
    let schema = &mut loose["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let spec = &mut schema["properties"]["spec"];
    spec["properties"]["targetIP"]
        .as_object_mut()
        .unwrap()
        .remove("x-kubernetes-validations");
    spec.as_object_mut()
        .unwrap()
        .remove("x-kubernetes-validations");
    let merge = "application/merge-patch+json";
    let versions = |crd: &Value| json!({"spec": {"versions": crd["spec"]["versions"]}});
    world.patch(path, merge, &versions(&loose)).await.unwrap();
    let apply = "application/apply-patch+yaml";
    until("the looser schema is in force", SOON, async || {
        world.patch(&World::path(object), apply, object).await.ok()
    })
    .await;
    world.patch(path, merge, &versions(&strict)).await.unwrap();
}

/// Lets the API server refuse the forwarder of this name.
async fn refuse_forwarder(world: &World, name: &str) {
    let group = "admissionregistration.k8s.io/v1";
    let policy = json!({
        "apiVersion": group, "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "no-forwarder"},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [{
                "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"],
                "operations": ["CREATE"],
            }]},
            "validations": [{
                "expression": format!("object.metadata.name != 'forwarder-{name}'"),
                "message": "no forwarders on Tuesdays",
            }],
        },
    });
    let binding = json!({
        "apiVersion": group, "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "no-forwarder"},
        "spec": {"policyName": "no-forwarder", "validationActions": ["Deny"]},
    });
    world.apply(&[policy, binding]);
    let probe = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"namespace": "shop", "name": format!("forwarder-{name}")},
        "spec": {
            "selector": {"matchLabels": {"app": "a"}},
            "template": {
                "metadata": {"labels": {"app": "a"}},
                "spec": {"containers": [{"name": "a", "image": "a"}]},
            },
        },
    });
    until("the policy is in force", SOON, async || {
        let said = world.refusal(&probe).await?;
        said.contains("Tuesdays").then_some(())
    })
    .await;
}

fn order(name: &str, sources: &[(&str, &str, &str)], port: u16) -> Value {
    external_service(("shop", name), TARGET, sources, &[port])
}

async fn refused(world: &World, seen: &mut Seen<'_>) {
    let web = [("shop", "web", "192.0.2.10")];
    world.put(&order("taken", &web, 1000)).await;
    seen.expect("shop/taken", "Accepted", Reason::Accepted, &["no other"])
        .await;
    seen.expect(
        "shop/taken",
        "SourcesResolved",
        Reason::SourcesResolved,
        &["shop/web"],
    )
    .await;

    let bear = [("zoo", "bear", "192.0.2.20")];
    world
        .put(&external_service(("zoo", "taken"), TARGET, &bear, &[1]))
        .await;
    let words = ["taken", "shop/taken", "choose another name"];
    seen.expect_not("zoo/taken", "Accepted", Reason::NameConflict, &words)
        .await;
    seen.expect(
        "zoo/taken",
        "Programmed",
        Reason::NotAccepted,
        &["Accepted"],
    )
    .await;

    world.apply(&[service(CONNECTOR, "foreign", &[80])]);
    world.put(&order("foreign", &web, 1001)).await;
    let words = ["Service external-services/foreign", "choose another name"];
    seen.expect_not("shop/foreign", "Accepted", Reason::NameConflict, &words)
        .await;

    world.put(&order("usurper", &web, 1000)).await;
    let words = [
        "192.0.2.10",
        "port 1000",
        TARGET,
        "shop/taken",
        "choose another source IP",
    ];
    seen.expect_not("shop/usurper", "Accepted", Reason::SourceIPConflict, &words)
        .await;

    let mut twice = order("twice", &[web[0], web[0]], 1002);
    twice["spec"]["sources"][1]["service"] = json!({"name": "web"});
    world.put(&twice).await;
    let words = ["spec.sources[1]", "shop/web", "one source IP"];
    seen.expect_not("shop/twice", "Accepted", Reason::DuplicateSource, &words)
        .await;

    let old = external_service(("shop", "old"), "db.example.com", &web, &[1003]);
    store_past_the_schema(world, &old).await;
    let words = ["spec.targetIP", "db.example.com", "for example"];
    seen.expect_not("shop/old", "Accepted", Reason::InvalidSpec, &words)
        .await;
}

async fn unresolved(world: &World, seen: &mut Seen<'_>) {
    let mut private = service("bank", "vault", &[80]);
    private["metadata"]["annotations"] = json!({});
    let mut headless = service("shop", "headless", &[80]);
    headless["spec"]["clusterIP"] = json!("None");
    let mut external = service("shop", "elsewhere", &[80]);
    external["spec"] = json!({"type": "ExternalName", "externalName": "example.com"});
    world.apply(&[private, headless, external, service("shop", "other", &[80])]);

    let case = |name: &str, service: &'static str, ip: &'static str| {
        let (namespace, service) = service.split_once('/').unwrap();
        order(name, &[(namespace, service, ip)], 2000)
    };
    let type_ = "SourcesResolved";
    world
        .put(&case("not-mine", "bank/vault", "192.0.2.31"))
        .await;
    let words = ["bank/vault", "exposed-to"];
    seen.expect_not("shop/not-mine", type_, Reason::SourceNotPermitted, &words)
        .await;

    world
        .put(&case("missing", "shop/nowhere", "192.0.2.32"))
        .await;
    let words = ["shop/nowhere", "create it"];
    seen.expect_not("shop/missing", type_, Reason::ServiceNotFound, &words)
        .await;
    seen.expect(
        "shop/missing",
        "Programmed",
        Reason::NoSource,
        &["SourcesResolved"],
    )
    .await;

    world
        .put(&case("elsewhere", "shop/elsewhere", "192.0.2.33"))
        .await;
    let words = [
        "shop/elsewhere",
        "ExternalName",
        "list a Service with a selector",
    ];
    seen.expect_not("shop/elsewhere", type_, Reason::ExternalNameService, &words)
        .await;

    world
        .put(&case("headless", "shop/headless", "192.0.2.34"))
        .await;
    let words = ["shop/headless", TARGET, "bidirectional"];
    seen.expect_not("shop/headless", type_, Reason::NoClusterIP, &words)
        .await;

    let both = [
        ("shop", "web", "192.0.2.35"),
        ("shop", "other", "192.0.2.35"),
    ];
    world.put(&order("crowded", &both, 2001)).await;
    let words = [
        "port 80",
        "192.0.2.35",
        "shop/web",
        "shop/other",
        "another source IP or port",
    ];
    seen.expect_not("shop/crowded", type_, Reason::IngressPortConflict, &words)
        .await;

    world.put(&case("reserved", "shop/web", "192.0.2.36")).await;
    seen.expect(
        "shop/reserved",
        "Programmed",
        Reason::NoGateway,
        &["192.0.2.36"],
    )
    .await;
    world.gateway_reserves("192.0.2.36", &["bank"]).await;
    let words = ["192.0.2.36"];
    seen.expect_not("shop/reserved", type_, Reason::SourceIPNotPermitted, &words)
        .await;
}

async fn coming_up(world: &World, seen: &mut Seen<'_>) {
    refuse_forwarder(world, "unwanted").await;
    world
        .put(&order("unwanted", &[("shop", "web", "192.0.2.41")], 3000))
        .await;
    let words = [
        "Deployment",
        "forwarder-unwanted",
        "no forwarders on Tuesdays",
        "trying again",
    ];
    seen.expect_not("shop/unwanted", "Programmed", Reason::ApplyFailed, &words)
        .await;

    let (name, ip) = ("fine", "192.0.2.42");
    world.put(&order(name, &[("shop", "web", ip)], 3001)).await;
    let words = [ip, "kubectl extconn init"];
    seen.expect_not("shop/fine", "Programmed", Reason::NoGateway, &words)
        .await;
    world
        .gateway_reports(ip, false, "the address is on no interface")
        .await;
    let words = ["gateway gw1", ip, "on no interface", "journalctl"];
    seen.expect_not(
        "shop/fine",
        "Programmed",
        Reason::GatewayNotProgrammed,
        &words,
    )
    .await;
    world.gateway_reports(ip, true, "in force").await;
    let words = [
        "forwarder-fine",
        "kubectl --namespace external-services describe deployment",
    ];
    seen.expect_not(
        "shop/fine",
        "Programmed",
        Reason::ForwarderNotAvailable,
        &words,
    )
    .await;
    world.forwarder_runs(name).await;
    seen.expect(
        "shop/fine",
        "Programmed",
        Reason::Programmed,
        &["forwarder runs"],
    )
    .await;
    world.forwarder_reports(name, &[(ip, "Down")]).await;
    let words = ["gateway gw1", ip, "as the test says"];
    seen.expect_not(
        "shop/fine",
        "TunnelsEstablished",
        Reason::TunnelDown,
        &words,
    )
    .await;
    world.forwarder_reports(name, &[(ip, "Up")]).await;
    seen.expect(
        "shop/fine",
        "TunnelsEstablished",
        Reason::TunnelsEstablished,
        &["tunnel"],
    )
    .await;
    seen.expect("shop/fine", "Ready", Reason::Ready, &["shop/web", TARGET])
        .await;
}

/// While objects are broken, the operator asks for nothing about them; what the API server has
/// refused it tries again with growing waits.
async fn no_hot_loop(world: &World, door: &Door) {
    let quiet = Duration::from_secs(5);
    // Everything has settled by now; what was refused waits ten seconds between two tries.
    tokio::time::sleep(quiet).await;
    let watched = Duration::from_secs(20);
    let begin = Instant::now();
    tokio::time::sleep(watched).await;
    let mut requests = door.since(begin);
    requests.retain(|request| !request.path.contains("/leases"));
    let broken = world.users("externalservices").await.len();
    eprintln!(
        "{broken} ExternalServices, most of them broken: {} requests in {watched:?}",
        requests.len()
    );
    let (refused, others): (Vec<_>, Vec<_>) = requests
        .into_iter()
        .partition(|request| request.path.ends_with("forwarder-unwanted"));
    assert!(refused.len() <= 4, "{refused:?}");
    assert!(others.is_empty(), "{others:?}");
}

/// One Event for each thing that a user wants to know, however often it was looked at.
async fn no_storm_of_events(world: &World) {
    let events = world.list("/apis/events.k8s.io/v1/events").await;
    let of = |name: &str| {
        let about = |event: &&Value| {
            event["regarding"]["kind"] == "ExternalService" && event["regarding"]["name"] == name
        };
        let mut reasons: Vec<_> = events
            .values()
            .filter(about)
            .map(|e| e["reason"].as_str().unwrap())
            .collect();
        reasons.sort_unstable();
        reasons
    };
    assert_eq!(of("fine"), ["Ready"]);
    assert_eq!(of("usurper"), ["SourceIPConflict"]);
    assert_eq!(of("missing"), ["ServiceNotFound"]);
    assert_eq!(of("unwanted"), Vec::<&str>::new());
}

fn columns(world: &World) {
    let table = world.kubectl(&["get", "extsvc", "-n", "shop", "fine"], "");
    let words: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        words[0],
        ["NAME", "TARGET", "SOURCES", "READY", "REASON", "AGE"]
    );
    assert_eq!(
        words[1][..5],
        ["fine", TARGET, "192.0.2.42", "True", "Ready"]
    );
    let wide = world.kubectl(&["get", "extconn", "-n", "shop", "-o", "wide"], "");
    assert!(wide.contains("MESSAGE"), "{wide}");
    assert!(wide.contains("choose another source IP"), "{wide}");
    let told = world.kubectl(&["explain", "extsvc.spec.sources.sourceIP"], "");
    assert!(told.contains("192.0.2.10"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab's programs: make control-plane"]
async fn every_reason_names_object_value_and_next_step() {
    let world = World::new().await;
    world.apply(&["shop", "bank", "zoo"].map(namespace));
    world.apply(&[service("shop", "web", &[80]), service("zoo", "bear", &[80])]);
    let door = world.door().await;
    let operator = Operator::start(&world, &door, "operator");
    let mut seen = Seen {
        world: &world,
        reasons: BTreeSet::new(),
    };
    refused(&world, &mut seen).await;
    unresolved(&world, &mut seen).await;
    coming_up(&world, &mut seen).await;
    no_hot_loop(&world, &door).await;
    no_storm_of_events(&world).await;
    columns(&world);
    assert!(!operator.said().contains("panicked"), "{}", operator.said());
    assert!(operator.stop().await.success());

    // Nobody runs pods here, so nobody ends them either.
    world
        .delete("/api/v1/namespaces/external-services/pods/forwarder-fine-0")
        .await;
    Operator::clean_up(&world, &door).await;
    for object in world.users("externalservices").await {
        let uninstalled = Reason::Uninstalled;
        seen.expect(&key(&object), "Ready", uninstalled, &["uninstalled"])
            .await;
    }
    let mut left = snapshot(&world).await;
    left.retain(|kind, _| !kind.starts_with("externalservices") && !kind.ends_with("/foreign"));
    assert!(left.is_empty(), "{:?}", left.keys());
    let all: BTreeSet<String> = Reason::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(
        seen.reasons, all,
        "a reason that nothing here produces, or the other way round"
    );
}
