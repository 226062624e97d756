//! docs/conditions.md explains every condition and every reason of an ExternalService, and no
//! other; docs/gateway.md those of a Gateway.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;

use extconn_api::condition::{
    ExternalServiceCondition, ExternalServiceReason, GATEWAY_REPORTING, GatewayCondition,
    GatewayReason, ReportingReason,
};

fn document(name: &str) -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    std::fs::read_to_string(docs.join(name)).unwrap()
}

/// What is between backquotes.
fn quoted(cell: &str) -> impl Iterator<Item = String> + '_ {
    cell.split('`').skip(1).step_by(2).map(str::to_owned)
}

/// Its variants as they are written.
fn words<T: ToString>(all: &[T]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

#[test]
fn every_condition_has_a_section() {
    let document = document("conditions.md");
    let sections: Vec<_> = document
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    assert_eq!(sections, words(ExternalServiceCondition::ALL));
}

#[test]
fn every_reason_has_a_row() {
    let document = document("conditions.md");
    let first_cells = document
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split('|').next());
    let documented: BTreeSet<String> = first_cells.flat_map(quoted).collect();
    let reasons = words(ExternalServiceReason::ALL);
    assert_eq!(documented, reasons.into_iter().collect());
}

#[test]
fn every_condition_and_reason_of_a_gateway_has_a_row() {
    let document = document("gateway.md");
    let (_, section) = document.split_once("\n## Conditions of a Gateway").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| "));
    let [mut conditions, mut reasons] = [vec![], vec![]];
    for row in rows {
        let mut cells = row.split('|');
        conditions.extend(quoted(cells.next().unwrap()));
        reasons.extend(quoted(cells.next().unwrap()));
    }
    let reporting = GATEWAY_REPORTING.to_owned();
    let known = [words(GatewayCondition::ALL), vec![reporting]].concat();
    assert_eq!(conditions, known);
    let known = [words(GatewayReason::ALL), words(ReportingReason::ALL)].concat();
    assert_eq!(reasons, known);
}
