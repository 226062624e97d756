//! No EndpointSlice lists a pod, for the controllers that write them stand still: whose the address
//! is, is asked of the API server, each time anew.

use std::time::Duration;

use extconn_lab::host;
use extconn_lab::topology::Host;
use extconn_lab::walkthrough::{access, ask, egress, workload};

use crate::pod::Pod;
use crate::world::{in_scenario, waited};

const CONTROLLERS: &str = "kube-controller-manager";
/// A pod that is no longer behind its Service is asked about every 10 seconds.
const RECHECKED: Duration = Duration::from_secs(20);

/// The controllers stand still until this ends.
struct Standstill;

impl Standstill {
    fn begin() -> Self {
        host::stop_unit(Host::Node1, CONTROLLERS).unwrap();
        let stopped = || {
            let units = host::units(Host::Node1).unwrap();
            let still = units.iter().find(|unit| unit.name == CONTROLLERS);
            match still.and_then(|unit| unit.pid) {
                None => Ok(()),
                Some(pid) => Err(format!("{CONTROLLERS} runs as {pid}")),
            }
        };
        waited(RECHECKED, stopped).unwrap();
        Self
    }
}

impl Drop for Standstill {
    fn drop(&mut self) {
        host::resume_unit(Host::Node1, CONTROLLERS).unwrap();
    }
}

#[test]
#[ignore = "needs a lab with extconn in it: make installation"]
fn a_pod_that_no_endpointslice_lists_has_its_source_ip_while_it_is_behind_its_service() {
    in_scenario("unlisted", |scenario| {
        let standstill = Standstill::begin();
        for (source, node) in scenario.sources.iter().zip([Host::Node2, Host::Node1]) {
            workload::add_pod(source, "early", node)?;
            egress::from_pod(scenario, source, "early")?.require()?;
            let slices = [
                "get",
                "endpointslices",
                "-n",
                &source.namespace,
                "-o",
                "json",
            ];
            assert!(!ask::cluster_ok(&slices, "")?.contains("\"early\""));
        }
        egress::from_outsider(scenario)?.require()?;

        let source = &scenario.sources[0];
        let early = Pod::of(scenario, source, "early", Host::Node2);
        let mut old = early.connects();
        assert!(old.asks().contains(&source.source_ip.to_string()));
        let label = ["label", "pod", "early", "-n", &source.namespace, "app-"];
        ask::cluster_ok(&label, "")?;
        // An answer is for half a second.
        let refused = || {
            let mark = access::unique_word();
            let said = egress::get(scenario, &source.namespace, "early", &mark).unwrap();
            (!said.success).then_some(()).ok_or(said.stdout)
        };
        waited(RECHECKED, refused).unwrap();
        let cut = || match early.connections() {
            0 => Ok(()),
            some => Err(format!("{some} connections stand")),
        };
        waited(RECHECKED, cut).unwrap();

        drop(standstill);
        let other = &scenario.sources[1];
        egress::from_pod(scenario, other, "early")?.require()
    });
}
