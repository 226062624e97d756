//! What the API server says to manifests that cannot work. Needs the lab, as end_to_end does.

#![allow(clippy::unwrap_used)]

use extconn_lab::walkthrough::Scenario;
use extconn_lab::walkthrough::ask::cluster as kubectl;
use serde_json::{Value, json};

/// Applies the reference ExternalService with one change (nothing is stored) and expects a refusal that says all of `sentences`.
fn refused(change: impl FnOnce(&mut Value), sentences: &[&str]) {
    let mut object = Scenario::reference().external_service();
    change(&mut object);
    let said = kubectl(
        &["create", "--dry-run=server", "-f", "-"],
        &object.to_string(),
    )
    .expect("the workstation is up");
    assert!(!said.success, "accepted: {object}");
    for sentence in sentences {
        assert!(
            said.stderr.contains(sentence),
            "{sentence:?} is not in: {}",
            said.stderr
        );
    }
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn the_reference_manifest_is_accepted() {
    let object = Scenario::reference().external_service();
    let said = kubectl(
        &["create", "--dry-run=server", "-f", "-"],
        &object.to_string(),
    )
    .expect("the workstation is up");
    assert!(said.success, "{}", said.stderr);
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_target_that_is_no_address_is_refused_by_name() {
    for wrong in [
        "256.1.1.1",
        "1.2.3",
        "010.0.0.1",
        "::1",
        "127.0.0.1",
        "224.0.0.1",
        "0.0.0.0",
        "",
    ] {
        refused(
            |object| object["spec"]["targetIP"] = json!(wrong),
            &[
                "spec.targetIP",
                wrong,
                "must be the IPv4 address of the external server",
            ],
        );
    }
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_port_out_of_range_is_refused_with_the_bound() {
    refused(
        |object| object["spec"]["ports"][0]["port"] = json!(0),
        &["spec.ports[0].port", "greater than or equal to 1"],
    );
    refused(
        |object| object["spec"]["ports"][0]["targetPort"] = json!(65536),
        &["spec.ports[0].targetPort", "less than or equal to 65535"],
    );
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn an_object_without_sources_is_refused() {
    refused(
        |object| object["spec"]["sources"] = json!([]),
        &["spec.sources", "at least 1 item"],
    );
    refused(
        |object| {
            drop(
                object["spec"]
                    .as_object_mut()
                    .map(|spec| spec.remove("sources")),
            )
        },
        &["spec.sources", "Required value"],
    );
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_service_or_a_target_port_that_is_listed_twice_is_refused() {
    refused(
        |object| {
            let first = object["spec"]["sources"][0].clone();
            object["spec"]["sources"][1] = first;
        },
        &["spec.sources", "lists a Service more than once"],
    );
    refused(
        |object| {
            let first = object["spec"]["ports"][0].clone();
            object["spec"]["ports"].as_array_mut().unwrap().push(first);
        },
        &["spec.ports", "uses a targetPort more than once"],
    );
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_protocol_that_is_not_carried_is_refused_by_name() {
    refused(
        |object| object["spec"]["ports"][0]["protocol"] = json!("UDP"),
        &["spec.ports[0].protocol", "\"UDP\"", "\"TCP\""],
    );
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_name_that_cannot_be_a_service_is_refused() {
    refused(
        |object| object["metadata"]["name"] = json!("1st.service"),
        &["the name becomes a Service name"],
    );
}
