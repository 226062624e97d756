//! Namespaces that are deleted: that of a source Service, that of an ExternalService, and the
//! connector namespace. Nothing of ours holds one back, and the conditions name what is missing.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::process::{Controller, Operator};
use crate::world::{CONNECTOR, World, external_service, namespace, service, until};

const SOON: Duration = Duration::from_secs(60);
const TARGET: &str = "203.0.113.7";

async fn until_gone(world: &World, namespace: &str) -> Duration {
    let begin = Instant::now();
    world
        .delete(&format!("/api/v1/namespaces/{namespace}"))
        .await;
    let path = format!("/api/v1/namespaces/{namespace}");
    let mut last = Value::Null;
    until(
        &format!("namespace {namespace} is gone"),
        2 * SOON,
        async || {
            match world.get_opt(&path).await {
                Some(there) => last = there["status"].clone(),
                None => return Some(()),
            }
            assert!(begin.elapsed() < SOON, "{namespace} is held back: {last}");
            None
        },
    )
    .await;
    begin.elapsed()
}

/// Waits until a condition of an ExternalService has this reason, with all of `words` in its message.
async fn until_says(world: &World, name: &str, type_: &str, reason: &str, words: &[&str]) {
    let mut last = Value::Null;
    let begin = Instant::now();
    until("the condition", 2 * SOON, async || {
        let (namespace, bare) = name.split_once('/').unwrap();
        let object = world.external_service(namespace, bare).await;
        let conditions = object["status"]["conditions"].as_array()?;
        last = conditions.iter().find(|c| c["type"] == type_)?.clone();
        assert!(begin.elapsed() < SOON, "{name}: not {reason}: {last}");
        let message = last["message"].as_str()?;
        let says = words.iter().all(|word| message.contains(word));
        (last["reason"] == reason && says).then_some(())
    })
    .await;
}

/// Waits until all that shop/order lacks is a gateway for its source IP.
async fn until_order_lacks_a_gateway_only(world: &World) {
    let words = ["192.0.2.10"];
    until_says(world, "shop/order", "Programmed", "NoGateway", &words).await;
}

/// What is there that was made for ExternalServices of this namespace.
async fn made_for(world: &World, namespace: &str) -> Vec<String> {
    let ours =
        format!("labelSelector=extconn.submariner.io%2Fexternal-service-namespace%3D{namespace}");
    let mut left = vec![];
    for list in [
        "/apis/extconn.submariner.io/v1alpha1/forwarders",
        "/apis/apps/v1/deployments",
        "/api/v1/services",
        "/api/v1/serviceaccounts",
        "/apis/rbac.authorization.k8s.io/v1/roles",
        "/apis/rbac.authorization.k8s.io/v1/rolebindings",
    ] {
        let found = world.list(&format!("{list}?{ours}")).await;
        left.extend(found.into_keys().map(|key| format!("{list} {key}")));
    }
    left
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab's programs: make control-plane"]
async fn a_deleted_namespace_goes_and_conditions_say_what_went_with_it() {
    let world = World::new().await;
    // It empties a deleted namespace, and then lets it go.
    let _controller = Controller::start(&world, "namespace-controller");
    world.apply(&["shop", "bank", "crm"].map(namespace));
    world.apply(&[
        service("shop", "web", &[80]),
        service("bank", "pay", &[80]),
        service("crm", "web", &[80]),
    ]);
    let door = world.door().await;
    let mut operator = Operator::start(&world, &door, "operator");
    let sources = [("shop", "web", "192.0.2.10"), ("bank", "pay", "192.0.2.11")];
    world
        .put(&external_service(
            ("shop", "order"),
            TARGET,
            &sources,
            &[80],
        ))
        .await;
    let sources = [("crm", "web", "192.0.2.12"), ("bank", "pay", "192.0.2.13")];
    world
        .put(&external_service(("crm", "mail"), TARGET, &sources, &[80]))
        .await;
    let sources = [("shop", "web", "192.0.2.14"), ("bank", "pay", "192.0.2.15")];
    world
        .put(&external_service(
            (CONNECTOR, "platform"),
            TARGET,
            &sources,
            &[80],
        ))
        .await;
    for name in ["order", "mail", "platform"] {
        until("its forwarder is made", SOON, async || {
            world.deployment(name).await
        })
        .await;
    }
    until_says(
        &world,
        "shop/order",
        "SourcesResolved",
        "SourcesResolved",
        &["bank/pay"],
    )
    .await;

    // An ExternalService's own: what was made for it elsewhere goes too.
    let took = until_gone(&world, "crm").await;
    assert_eq!(made_for(&world, "crm").await, Vec::<String>::new());
    println!("the namespace of an ExternalService was gone after {took:.1?}");

    // That of a source Service: the others go on. The consent went with it, and whether a Service
    // is there is told to who may list it.
    let took = until_gone(&world, "bank").await;
    let words = ["Service bank/pay", "does not consent to shop"];
    let resolved = "SourcesResolved";
    until_says(&world, "shop/order", resolved, "SourceNotPermitted", &words).await;
    until_order_lacks_a_gateway_only(&world).await;
    let platform = format!("{CONNECTOR}/platform");
    let words = [
        "Service bank/pay does not exist",
        "take it out of spec.sources",
    ];
    until_says(&world, &platform, resolved, "ServiceNotFound", &words).await;
    println!("the namespace of a source Service was gone after {took:.1?}");

    // The connector namespace: the operator outlives it here for as long as it holds its Lease.
    let took = until_gone(&world, CONNECTOR).await;
    println!("the connector namespace was gone after {took:.1?}");
    let words = [CONNECTOR, "trying again"];
    until_says(&world, "shop/order", "Programmed", "ApplyFailed", &words).await;
    let status = operator.wait(Duration::from_secs(20)).await;
    assert_eq!(status.code(), Some(1), "{}", operator.said());
    // Installed again, all is made again.
    world.install();
    let _operator = Operator::start(&world, &door, "again");
    until("its forwarder is made again", SOON, async || {
        world.deployment("order").await
    })
    .await;
    until_order_lacks_a_gateway_only(&world).await;
}
