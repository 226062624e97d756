//! A Gateway object that somebody else than the operator has written.

use anyhow::Result;
use extconn_api::condition::GatewayReason as Reason;
use extconn_lab::walkthrough::{ask, ingress};
use serde_json::json;

use super::change::Change;
use super::{GATEWAYS, NAMESPACE, Seen};
use crate::world::until;

const OPERATOR: &str = "deployment/extconn-operator";

pub fn what_somebody_else_wrote_is_left_out_until_the_operator_is_back(
    seen: &mut Seen<'_>,
) -> Result<()> {
    let replicas = operator("{.spec.replicas}");
    let away = Change::new(|| scale("0"), move || scale(&replicas));
    until(|| match operator("{.status.replicas}").as_str() {
        "" | "0" => Ok(()),
        some => Err(format!("{some} operators")),
    });
    let target = "db.example.com";
    let path = "/spec/forwarders/0/egress/0/ip";
    let patch = json!([{"op": "replace", "path": path, "value": target}]);
    let patch = format!("--patch={patch}");
    let object = ["patch", "-n", NAMESPACE, GATEWAYS, &seen.source_ip];
    ask::cluster_ok(&[&object[..], &["--type=json", &patch]].concat(), "")?;
    let forwarder = seen.scenario.name.clone();
    let words = [&forwarder, target, "no IPv4 address", "operator"];
    seen.expect(Reason::InvalidSpec, &words);
    ingress::from_external_server(&seen.scenario.sources[0])?.require()?;
    drop(away);
    seen.expect_well();
    Ok(())
}

fn operator(field: &str) -> String {
    let field = format!("-o=jsonpath={field}");
    ask::cluster_ok(&["get", "-n", NAMESPACE, OPERATOR, &field], "").unwrap()
}

fn scale(replicas: &str) {
    let replicas = format!("--replicas={replicas}");
    ask::cluster_ok(&["scale", "-n", NAMESPACE, OPERATOR, &replicas], "").unwrap();
}
