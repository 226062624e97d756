//! The main job on real parts. Needs a lab that is up with extconn installed: `make end-to-end`.
//!
//! The tests share the gateway host's source IPs, so they run one after another.

use anyhow::Result;
use extconn_lab::topology::Host;
use extconn_lab::walkthrough::{
    Observation, Scenario, dump, egress, ingress, removal, story, workload,
};

/// Runs `body` on a scenario of its own that is ready, and takes it away afterwards. A failure
/// leaves a dump of objects, logs and rules.
fn in_scenario(test: &str, body: impl FnOnce(&Scenario) -> Result<()>) {
    // A run that was killed may have left namespaces of the same test behind.
    let scenario = Scenario::temporary(&format!("{test}-{:x}", std::process::id()));
    let outcome = set_up(&scenario).and_then(|()| body(&scenario));
    if outcome.is_err() {
        dump::write(&scenario);
    }
    let removed = workload::delete(&scenario).and_then(|()| removal::leaves_nothing(&scenario));
    if let Err(error) = outcome {
        panic!("{error:?}");
    }
    removed
        .and_then(Observation::require)
        .expect("the scenario goes away without a trace");
}

fn set_up(scenario: &Scenario) -> Result<()> {
    workload::create(scenario)?;
    workload::apply(&[scenario.external_service()])?;
    story::await_ready(scenario)
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn pods_reach_the_external_server_from_the_source_ip_of_their_service() {
    in_scenario("egress", |scenario| {
        for source in &scenario.sources {
            egress::from_source(scenario, source)?.require()?;
        }
        Ok(())
    });
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_pod_behind_no_listed_service_is_refused() {
    in_scenario("outsider", |scenario| {
        egress::from_outsider(scenario)?.require()
    });
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn the_external_server_reaches_each_service_at_its_source_ip() {
    in_scenario("ingress", |scenario| {
        for source in &scenario.sources {
            ingress::from_external_server(source)?.require()?;
        }
        Ok(())
    });
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_third_host_is_refused_at_every_source_ip() {
    in_scenario("third", |scenario| {
        for source in &scenario.sources {
            ingress::from_third_host(source)?.require()?;
        }
        Ok(())
    });
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_pod_that_has_just_become_ready_on_the_other_node_has_the_source_ip() {
    in_scenario("newpod", |scenario| {
        let source = &scenario.sources[0];
        assert_ne!(source.node, Host::Node2);
        workload::add_pod(source, "my-new-pod", Host::Node2)?;
        egress::from_pod(scenario, source, "my-new-pod")?.require()
    });
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn deleting_the_external_service_stops_both_directions_and_leaves_nothing() {
    in_scenario("delete", |scenario| {
        egress::from_source(scenario, &scenario.sources[0])?.require()?;
        removal::stops_traffic(scenario)?.require()?;
        removal::leaves_nothing(scenario)?.require()
    });
}
