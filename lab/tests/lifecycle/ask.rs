//! helm and kubectl at the workstation; what fails ends the test.

use extconn_lab::topology::Host;
use extconn_lab::walkthrough::ask::{self, Said};
use serde_json::Value;

pub fn helm(args: &[&str]) -> Said {
    ask::host(Host::Workstation, &[&["helm"], args].concat()).unwrap()
}

pub fn helm_ok(args: &[&str]) -> String {
    let said = helm(args);
    assert!(said.success, "helm {args:?}: {}", said.stderr);
    said.stdout + &said.stderr
}

pub fn kubectl(args: &[&str]) -> String {
    ask::cluster_ok(args, "").unwrap()
}

pub fn apply(object: &Value) {
    ask::cluster_ok(&["apply", "-f", "-"], &object.to_string()).unwrap();
}
