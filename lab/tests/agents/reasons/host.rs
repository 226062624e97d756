//! The host's addresses and ports, and what its administrator allows.

use anyhow::{Result, ensure};
use extconn_api::condition::GatewayReason as Reason;
use extconn_lab::topology::{EXTERNAL, GATEWAY, SOURCE_IPS};
use extconn_lab::walkthrough::egress;
use serde_json::json;

use super::Seen;
use super::change::Change;
use crate::world::{gateway_says, on_gateway, restarts, until_says};

/// An interface that the gateway host does not have.
const MISSING: &str = "uplink9";

pub fn a_source_ip_that_leaves_the_host_is_named_and_nothing_leaves_from_another(
    seen: &mut Seen<'_>,
) -> Result<()> {
    let source_ip = seen.source_ip.clone();
    let moved = Change::on_gateway(
        &format!("ip address del {source_ip}/24 dev eth0"),
        &format!("ip address add {source_ip}/24 dev eth0"),
    );
    let words = [&source_ip, "on no interface", "assignTo"];
    seen.expect_and_tell(Reason::AddressMissing, &words);
    let tried = egress::from_source(seen.scenario, &seen.scenario.sources[0])?;
    ensure!(
        !tried.holds && tried.seen.ends_with("saw nobody"),
        "{}",
        tried.seen
    );

    let host_file = Change::of_host_file(&json!({
        "sshEndpoint": format!("{GATEWAY}:2022"),
        "sourceIPs": [{"ip": source_ip, "assignTo": MISSING}, {"ip": SOURCE_IPS[1]}],
        "targetNetworks": ["203.0.113.0/24"],
    }));
    let words = [&source_ip, MISSING, "assignTo"];
    seen.expect(Reason::AssignFailed, &words);
    let there = Change::on_gateway(
        &format!("ip link add {MISSING} type bridge"),
        &format!("ip link del {MISSING}"),
    );
    seen.expect(Reason::Assigned, &[&source_ip]);
    let (forwarder, target) = (seen.scenario.name.clone(), EXTERNAL.to_string());
    let words = [
        &forwarder,
        &target,
        "targetNetworks",
        "change the ExternalService",
    ];
    seen.expect_and_tell(Reason::NotAllowed, &words);
    drop((host_file, there, moved));
    seen.expect_well();
    Ok(())
}

pub fn a_taken_ssh_port_is_taken_over_when_it_is_free(seen: &mut Seen<'_>) {
    on_gateway("systemctl stop extconn-gateway");
    let squatter = Change::on_gateway(
        "mkdir -p /run/sshd && systemd-run --quiet --unit=squatter --collect \
         /usr/sbin/sshd -D -p 2022 -o PidFile=none && \
         for i in $(seq 100); do ss -ltn | grep -q :2022 && exit 0; sleep 0.1; done; exit 1",
        "systemctl stop squatter",
    );
    on_gateway("systemctl start --no-block extconn-gateway");
    let words = ["0.0.0.0:2022", "in use", "sshListen"];
    seen.expect_and_tell(Reason::NotListening, &words);
    until_says(
        || gateway_says("/readyz"),
        "HTTP/1.0 503",
        &["0.0.0.0:2022"],
    );
    drop(squatter);
    seen.expect_well();
    assert_eq!(restarts().trim(), "0", "it went down over the port");
}
