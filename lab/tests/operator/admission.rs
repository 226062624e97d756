//! Who may write ExternalServices, and what admission goes by, also when the chart was uninstalled
//! and is installed again on the same API server.

use std::time::Duration;

use serde_json::{Value, json};

use crate::process::{Controller, Operator};
use crate::world::{CONNECTOR, World, external_service, namespace, service, until};

const SOON: Duration = Duration::from_secs(30);
const SOURCE_IP: &str = "192.0.2.10";

fn order(name: &str) -> Value {
    let sources = [("shop", "web", SOURCE_IP)];
    external_service(("shop", name), "203.0.113.7", &sources, &[80])
}

/// Waits until the API server refuses the source IP for it is reserved for this namespace.
async fn until_reserved(world: &World, namespace: &str) {
    let words = format!("reserved for ExternalServices of the namespaces {namespace}, not shop");
    until(&words, SOON, async || {
        let said = world.refusal(&order("another")).await?;
        assert!(said.contains("is reserved for"), "{said}");
        said.contains(&words).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab's programs: make control-plane"]
async fn policies_that_come_back_go_by_what_is_permitted_then() {
    let world = World::new().await;
    world.apply(&[namespace("shop"), service("shop", "web", &[80])]);
    let door = world.door().await;
    let operator = Operator::start(&world, &door, "operator");
    world.put(&order("order")).await;
    let gateway =
        format!("/apis/extconn.submariner.io/v1alpha1/namespaces/{CONNECTOR}/gateways/{SOURCE_IP}");
    until("it has a Gateway", SOON, async || {
        world.get_opt(&gateway).await
    })
    .await;
    world.gateway_reserves(SOURCE_IP, &["bank"]).await;
    until_reserved(&world, "bank").await;

    let mut policies = World::of_chart(&[]);
    policies.retain(|object| {
        let kind = object["kind"].as_str().unwrap();
        kind.starts_with("ValidatingAdmissionPolicy")
    });
    assert_eq!(policies.len(), 6);
    let list = json!({"apiVersion": "v1", "kind": "List", "items": policies}).to_string();
    world.kubectl(&["delete", "-f", "-"], &list);
    until("nothing is refused", SOON, async || {
        world
            .refusal(&order("another"))
            .await
            .is_none()
            .then_some(())
    })
    .await;
    world.gateway_reserves(SOURCE_IP, &["crm"]).await;
    world.apply(&policies);
    until_reserved(&world, "crm").await;
    world.gateway_reserves(SOURCE_IP, &["crm", "bank"]).await;
    until_reserved(&world, "crm, bank").await;
    assert!(operator.stop().await.success());
}

/// Whether somebody of this group may do this in a namespace.
fn may(world: &World, group: &str, verb: &str, resource: &str, namespace: &str) -> bool {
    may_with(world, group, verb, resource, namespace, &[])
}

fn may_with(
    world: &World,
    group: &str,
    verb: &str,
    resource: &str,
    namespace: &str,
    more: &[&str],
) -> bool {
    let group = format!("--as-group={group}");
    let args = [
        "auth", "can-i", verb, resource, "-n", namespace, "--as=eve", &group,
    ];
    // It fails if the answer is no.
    let output = world.plane.kubectl(&[&args, more].concat(), "").unwrap();
    output.status.success()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab's programs: make control-plane"]
async fn who_may_edit_writes_external_services_where_an_administrator_says_so() {
    let world = World::new().await;
    world.apply(&["shop", "bank"].map(namespace));
    let bind = |role: &str, group: &str| {
        let (role, group) = (format!("--clusterrole={role}"), format!("--group={group}"));
        let binding = format!("{role}-{group}").replace(['-', '='], "");
        world.kubectl(
            &[
                "create",
                "rolebinding",
                &binding,
                "-n",
                "shop",
                &role,
                &group,
            ],
            "",
        );
    };
    bind("extconn-edit", "team-shop");
    bind("edit", "editors");
    bind("view", "viewers");
    let es = "externalservices.submariner.io";
    for verb in [
        "create", "update", "patch", "delete", "get", "list", "watch",
    ] {
        assert!(may(&world, "team-shop", verb, es, "shop"), "{verb}");
        assert!(!may(&world, "team-shop", verb, es, "bank"), "{verb}");
        assert!(!may(&world, "team-shop", verb, es, CONNECTOR), "{verb}");
    }
    let status = ["--subresource=status"];
    assert!(may_with(&world, "team-shop", "get", es, "shop", &status));
    assert!(!may_with(&world, "team-shop", "patch", es, "shop", &status));
    assert!(!may(
        &world,
        "team-shop",
        "get",
        "gateways.extconn.submariner.io",
        "shop"
    ));

    // Kubernetes' own roles, by aggregation.
    let _controller = Controller::start(&world, "clusterrole-aggregation-controller");
    until("who views sees them", SOON, async || {
        may(&world, "viewers", "list", es, "shop").then_some(())
    })
    .await;
    assert!(!may(&world, "viewers", "create", es, "shop"));
    assert!(!may(&world, "editors", "create", es, "shop"));
    let mut roles = World::of_chart(&["--set=rbac.aggregateToEdit=true"]);
    roles.retain(|object| object["metadata"]["name"] == "extconn-edit");
    world.apply(&roles);
    until("who edits writes them", SOON, async || {
        may(&world, "editors", "create", es, "shop").then_some(())
    })
    .await;
    assert!(!may(&world, "editors", "create", es, "bank"));
}
