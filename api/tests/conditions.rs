//! docs/conditions.md explains every condition and every reason, and no other.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;

use extconn_api::condition::{ExternalServiceCondition, ExternalServiceReason};

fn document() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/conditions.md");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn every_condition_has_a_section() {
    let document = document();
    let sections: Vec<_> = document
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    let conditions = ExternalServiceCondition::ALL
        .iter()
        .map(ToString::to_string);
    assert_eq!(sections, conditions.collect::<Vec<_>>());
}

#[test]
fn every_reason_has_a_row() {
    let document = document();
    let first_cells = document
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split('|').next());
    let documented: BTreeSet<String> = first_cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect();
    let reasons: BTreeSet<_> = ExternalServiceReason::ALL
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(documented, reasons);
}
