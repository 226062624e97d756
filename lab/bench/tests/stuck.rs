//! Memory of both ends has the bound that docs/packets.md gives.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use serde_json::Value;

#[test]
fn ten_thousand_stuck_connections_keep_to_the_bound_and_hold_up_nobody() {
    let program = env!("CARGO_BIN_EXE_extconn-bench");
    let arguments = ["run", "--only", "stuck", "--output", "json"];
    let output = Command::new(program).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let goals = report["goals"].as_array().unwrap();
    let goal = goals.iter().find(|goal| goal["line"] == "stuck").unwrap();
    assert_eq!(goal["met"], "yes", "{}", goal["measured"]);
}
