//! What writes the host's nat rules is not there.

use anyhow::Result;
use extconn_api::condition::GatewayReason as Reason;
use extconn_lab::walkthrough::{ask, egress, ingress};
use serde_json::{Value, json};

use super::Seen;
use super::change::Change;
use crate::world::{gateway_metric, until};

/// A port that the Service of the first source has for a moment.
const PASSING: u16 = 81;

pub fn without_iptables_what_is_in_effect_carries_on(seen: &mut Seen<'_>) -> Result<()> {
    let programs = "cd /usr/sbin && for program in iptables-save iptables-restore; do";
    let away = Change::on_gateway(
        &format!("{programs} mv $program $program.away || exit; done"),
        &format!("{programs} mv $program.away $program || exit; done"),
    );
    let source_ip = seen.source_ip.clone();
    let words = [&source_ip, "iptables-save", "install the package iptables"];
    seen.expect_and_tell(Reason::ApplyFailed, &words);
    let source = &seen.scenario.sources[0];
    egress::from_source(seen.scenario, source)?.require()?;
    ingress::from_external_server(source)?.require()?;

    // A port comes, cannot be opened, and goes again: it must not linger.
    let failures = || gateway_metric("extconn_gateway_apply_failures_total ").unwrap_or_default();
    let before = failures();
    let port = json!({"name": "passing", "port": PASSING, "targetPort": 8080});
    patch_service(
        seen,
        &json!([{"op": "add", "path": "/spec/ports/-", "value": port}]),
    )?;
    until(|| {
        let after = failures();
        (after > before)
            .then_some(())
            .ok_or_else(|| format!("{after} failures, as before"))
    });
    assert!(grants_passing_port(&seen.gateway()));
    patch_service(seen, &json!([{"op": "remove", "path": "/spec/ports/1"}]))?;
    until(|| {
        let gateway = seen.gateway();
        (!grants_passing_port(&gateway))
            .then_some(())
            .ok_or_else(|| gateway["spec"].to_string())
    });
    seen.expect(Reason::ApplyFailed, &words);
    drop(away);
    seen.expect_well();
    ingress::from_external_server(&seen.scenario.sources[0])?.require()
}

fn patch_service(seen: &Seen<'_>, patch: &Value) -> Result<()> {
    let source = &seen.scenario.sources[0];
    let patch = format!("--patch={patch}");
    let service = ["patch", "service", "-n", &source.namespace, &source.service];
    ask::cluster_ok(&[&service[..], &["--type=json", &patch]].concat(), "").map(drop)
}

fn grants_passing_port(gateway: &Value) -> bool {
    let forwarders = gateway["spec"]["forwarders"].as_array();
    let ingress = forwarders
        .into_iter()
        .flatten()
        .filter_map(|f| f["ingress"].as_array());
    ingress.flatten().any(|entry| entry["port"] == PASSING)
}
