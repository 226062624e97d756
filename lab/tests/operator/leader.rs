//! Two operators, one of which acts.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::process::Operator;
use crate::world::{CONNECTOR, World, external_service, namespace, service, until};

const SOON: Duration = Duration::from_secs(30);

async fn holder(world: &World) -> String {
    let leases = format!("/apis/coordination.k8s.io/v1/namespaces/{CONNECTOR}/leases");
    let leases = world.list(&leases).await;
    let lease = leases.get(&format!("{CONNECTOR}/extconn-operator"));
    let holder = lease.and_then(|lease| lease["spec"]["holderIdentity"].as_str());
    holder.unwrap_or_default().to_owned()
}

async fn until_held_by(world: &World, identity: &str) -> Duration {
    let begin = Instant::now();
    until(&format!("{identity} leads"), SOON, async || {
        (holder(world).await == identity).then_some(())
    })
    .await;
    begin.elapsed()
}

async fn until_accepted(world: &World, name: &str) {
    until(&format!("{name} is accepted"), SOON, async || {
        let object = world.external_service("shop", name).await;
        let conditions = object["status"]["conditions"].as_array().cloned();
        let accepted = conditions
            .unwrap_or_default()
            .into_iter()
            .find(|c| c["type"] == "Accepted");
        (accepted?["status"] == "True").then_some(())
    })
    .await;
}

fn order(name: &str, port: u16) -> Value {
    let sources = [("shop", "web", "192.0.2.10")];
    external_service(("shop", name), "203.0.113.7", &sources, &[port])
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab's programs: make control-plane"]
async fn an_operator_whose_watches_cannot_start_stops_at_once_when_told() {
    let world = World::new().await;
    let crd = "customresourcedefinition/gateways.extconn.submariner.io";
    world.kubectl(&["delete", crd], "");
    let door = world.door().await;
    let operator = Operator::start(&world, &door, "operator");
    until("it misses Gateways", SOON, async || {
        operator.said().contains("a watch failed").then_some(())
    })
    .await;
    let begin = Instant::now();
    assert!(operator.stop().await.success());
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert_eq!(holder(&world).await, "", "the Lease is not given back");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab's programs: make control-plane"]
async fn an_operator_that_is_told_to_stop_while_it_renews_gives_the_lease_back() {
    let world = World::new().await;
    let door = world.door().await;
    let operator = Operator::start(&world, &door, "operator");
    until_held_by(&world, "operator").await;
    door.withhold_renewal().await;
    assert!(operator.stop().await.success());
    assert_eq!(holder(&world).await, "", "the Lease is not given back");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab's programs: make control-plane"]
async fn one_operator_acts_and_another_takes_over() {
    let world = World::new().await;
    world.apply(&[namespace("shop"), service("shop", "web", &[80])]);
    let (first_door, second_door) = (world.door().await, world.door().await);
    let mut first = Operator::start(&world, &first_door, "first");
    until_held_by(&world, "first").await;
    let second = Operator::start(&world, &second_door, "second");
    world.apply(&[order("one", 1001)]);
    until_accepted(&world, "one").await;
    let wrote = |requests: &[crate::door::Passed]| requests.iter().any(|r| r.is_write());
    assert!(wrote(&first_door.passed()));
    assert!(!wrote(&second_door.passed()), "both act");

    // Its network is gone: it ends before the other may begin.
    first_door.shut(true);
    let cut = Instant::now();
    let status = first.wait(Duration::from_secs(13)).await;
    let ended = cut.elapsed();
    assert_eq!(status.code(), Some(1), "{}", first.said());
    assert!(
        first.said().contains("could not be renewed"),
        "{}",
        first.said()
    );
    until_held_by(&world, "second").await;
    let taken = cut.elapsed();
    assert!(
        ended < taken && taken < Duration::from_secs(20),
        "{taken:?}"
    );
    world.apply(&[order("two", 1002)]);
    until_accepted(&world, "two").await;
    println!("cut off: ended after {ended:.1?}, the other led after {taken:.1?}");

    // Told to stop, it gives the Lease back.
    first_door.shut(false);
    let third = Operator::start(&world, &first_door, "third");
    until("the third stands by", SOON, async || {
        third.said().contains("standing by").then_some(())
    })
    .await;
    assert!(second.stop().await.success());
    let taken = until_held_by(&world, "third").await;
    assert!(taken < Duration::from_secs(4), "{taken:?}");
    println!("told to stop: the other led after {taken:.1?}");

    // Its container dies: the same pod goes on.
    third.kill();
    let _again = Operator::start(&world, &first_door, "third");
    let begin = Instant::now();
    world.apply(&[order("three", 1003)]);
    until_accepted(&world, "three").await;
    let taken = begin.elapsed();
    assert!(taken < Duration::from_secs(5), "{taken:?}");
    println!("killed: acted again after {taken:.1?}");
}
