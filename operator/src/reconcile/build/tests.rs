//! The objects of the reference manifest, compared with a golden file.

use std::path::Path;

use serde::Serialize;

use super::*;
use crate::reconcile::fixtures::{GATEWAY, REFERENCE, SERVICES, observed, settings, validated};

fn desired(cluster: &str) -> Option<Desired> {
    let observed = observed(cluster);
    build(&validated(cluster), &observed.gateways, &settings())
}

fn document(object: &impl Serialize) -> String {
    format!("---\n{}", serde_yaml::to_string(object).unwrap())
}

#[test]
fn the_reference_manifest_makes_the_golden_objects() {
    let Desired {
        service_account,
        role,
        role_binding,
        source_role_bindings,
        forwarder,
        gateway_grants,
        service,
        disruption_budget,
        deployment,
    } = desired(&format!("{REFERENCE}{SERVICES}{GATEWAY}")).unwrap();
    let mut text = String::from(
        "# Made by `UPDATE_EXPECT=1 cargo test -p extconn-operator build`: every object of the\n\
         # reference manifest; the gateway of 192.0.2.200 has published its endpoint.\n",
    );
    text += &document(&service_account);
    text += &document(&role);
    text += &document(&role_binding);
    source_role_bindings
        .iter()
        .for_each(|binding| text += &document(binding));
    text += &document(&forwarder);
    for (source_ip, grant) in &gateway_grants {
        text += &format!("---\n# Granted at Gateway {source_ip}:\n");
        text += &serde_yaml::to_string(grant).unwrap();
    }
    text += &document(&service);
    text += &document(&disruption_budget);
    text += &document(&deployment);

    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/my-externalservice.yaml");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::create_dir_all(golden.parent().unwrap()).unwrap();
        std::fs::write(&golden, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    assert!(
        text == expected,
        "the objects are not those of {}: run with UPDATE_EXPECT=1 and look at the change",
        golden.display()
    );
}

#[test]
fn nothing_is_made_without_a_source() {
    assert_eq!(desired(REFERENCE), None);
}

#[test]
fn nothing_is_made_for_what_is_refused() {
    let refused = REFERENCE.replace("targetIP: 203.0.113.7", "targetIP: nonsense");
    assert_eq!(desired(&format!("{refused}{SERVICES}")), None);
}

#[test]
fn the_probes_move_aside_for_a_port_that_pods_dial() {
    let cluster = format!("{REFERENCE}{SERVICES}").replace("targetPort: 8000", "targetPort: 9402");
    let deployment = desired(&cluster).unwrap().deployment;
    let container = &deployment.spec.unwrap().template.spec.unwrap().containers[0];
    assert_eq!(container.ports.as_ref().unwrap()[0].container_port, 9403);
    let env = container.env.as_ref().unwrap();
    let http_port = env
        .iter()
        .find(|variable| variable.name == "HTTP_PORT")
        .unwrap();
    assert_eq!(http_port.value.as_deref(), Some("9403"));
}

#[test]
fn two_target_ports_of_one_port_are_one_grant() {
    let cluster = format!("{REFERENCE}{SERVICES}").replace(
        "{protocol: TCP, port: 8000, targetPort: 8000}",
        "{port: 8000}\n    - {port: 8000, targetPort: 80}",
    );
    let desired = desired(&cluster).unwrap();
    assert_eq!(desired.forwarder.spec.egress.len(), 2);
    assert!(
        desired
            .gateway_grants
            .values()
            .all(|grant| grant.egress.len() == 1)
    );
}

#[test]
fn two_services_of_one_namespace_share_a_binding() {
    let cluster = format!("{REFERENCE}{SERVICES}").replace("ns2", "ns1");
    assert_eq!(desired(&cluster).unwrap().source_role_bindings.len(), 1);
}

#[test]
fn forwarders_get_what_the_administrator_adds_and_keep_what_they_are_known_by() {
    let cluster = format!("{REFERENCE}{SERVICES}");
    let observed = observed(&cluster);
    let mut settings = settings();
    let added = r#"{
        "labels": {"team": "platform", "app.kubernetes.io/name": "mine"},
        "annotations": {"note": "a"},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "edge", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
        "priorityClassName": "high",
        "resources": {"limits": {"memory": "1Gi"}}}"#;
    settings.forwarder_pod = added.parse().unwrap();
    let desired = build(&validated(&cluster), &observed.gateways, &settings).unwrap();
    let deployment = desired.deployment.spec.unwrap();
    let metadata = deployment.template.metadata.unwrap();
    let labels = metadata.labels.unwrap();
    assert_eq!(labels["team"], "platform");
    assert_eq!(labels["app.kubernetes.io/name"], "extconn-forwarder");
    assert_eq!(metadata.annotations.unwrap()["note"], "a");
    let pod = deployment.template.spec.unwrap();
    assert_eq!(pod.node_selector.unwrap()["disk"], "ssd");
    assert_eq!(pod.tolerations.unwrap()[0].key.as_deref(), Some("edge"));
    assert!(pod.affinity.unwrap().pod_anti_affinity.is_some());
    assert_eq!(pod.priority_class_name.as_deref(), Some("high"));
    let spread = pod.topology_spread_constraints.unwrap();
    assert_eq!(spread[0].topology_key, "zone");
    assert_eq!(spread[0].label_selector, Some(deployment.selector));
    let resources = pod.containers[0].resources.clone().unwrap();
    assert_eq!(resources.requests, None);
    assert_eq!(resources.limits.unwrap()["memory"].0, "1Gi");
}

#[test]
fn a_misspelt_addition_is_refused_by_name() {
    let said = r#"{"tolerration": []}"#.parse::<crate::settings::PodOptions>();
    assert!(said.unwrap_err().to_string().contains("tolerration"));
}
