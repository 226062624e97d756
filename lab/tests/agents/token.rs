//! The gateway's token: renewed in time by itself, and what is seen when it is revoked.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::Result;
use extconn_api::condition::ReportingReason;
use extconn_lab::paths;
use extconn_lab::walkthrough::{Scenario, ask, egress, scenario};
use serde_json::{Value, json};

use crate::world::{
    gateway_metric, gateway_says, in_scenario, of_gateway, on_gateway, until, until_carries,
    until_says,
};

const NAMESPACE: &str = scenario::CONNECTOR_NAMESPACE;
const TOKEN: &str = "/var/lib/extconn/token";

fn carries(scenario: &Scenario) -> Result<()> {
    egress::from_source(scenario, &scenario.sources[0])?.require()
}

#[test]
#[ignore = "needs a lab with extconn in it: make installation"]
fn a_revoked_token_is_told_by_both_ends_and_stops_no_traffic() {
    in_scenario("revoked", |scenario| {
        until_says(
            || of_gateway(scenario, "Reporting"),
            "True Reporting: host gateway",
            &[],
        );
        until_says(|| of_gateway(scenario, "ClockInSync"), "True InSync: ", &[]);
        let account = ask::cluster_ok(
            &[
                "get",
                "serviceaccount",
                "-n",
                NAMESPACE,
                "extconn-gateway",
                "-o",
                "json",
            ],
            "",
        )?;
        let mut account: Value = serde_json::from_str(&account)?;
        let metadata = account["metadata"].as_object_mut().unwrap();
        metadata.retain(|field, _| {
            ["name", "namespace", "labels", "annotations"].contains(&field.as_str())
        });
        let delete = [
            "delete",
            "serviceaccount",
            "-n",
            NAMESPACE,
            "extconn-gateway",
        ];
        ask::cluster_ok(&delete, "")?;
        ask::cluster_ok(&["create", "-f", "-"], &account.to_string())?;

        let says = ["ok, but the Kubernetes API refuses the token"];
        until_says(|| gateway_says("/readyz"), "HTTP/1.0 200", &says);
        assert_eq!(gateway_metric("extconn_gateway_api_up "), Some(0.0));
        let journal = on_gateway("journalctl --unit extconn-gateway --output cat --lines 200");
        assert!(
            journal.contains("refuses the token of this gateway"),
            "{journal}"
        );
        until_says(
            || of_gateway(scenario, "Reporting"),
            "False Silent: host gateway has not renewed its Lease extconn-gateway-gateway since",
            &["revoked", "journalctl"],
        );
        carries(scenario)?;
        let seen = [ReportingReason::Reporting, ReportingReason::Silent];
        assert_eq!(
            ReportingReason::ALL,
            seen,
            "a reason that nothing here produces"
        );

        // A new one, put where the old one was: no restart.
        let create = [
            "create",
            "token",
            "extconn-gateway",
            "-n",
            NAMESPACE,
            "--duration=24h",
        ];
        let token = ask::cluster_ok(&create, "")?;
        put(&token);
        until_says(
            || of_gateway(scenario, "Reporting"),
            "True Reporting: ",
            &[],
        );
        assert_eq!(gateway_metric("extconn_gateway_api_up "), Some(1.0));
        until_carries(scenario);
        Ok(())
    });
}

#[test]
#[ignore = "needs a lab with extconn in it: make installation"]
fn a_token_near_its_end_is_renewed_for_at_most_a_day() {
    // The API server makes none so short, so this one is signed with its key, as it would.
    let life = 30;
    put(&token_of(life));
    on_gateway("systemctl restart extconn-gateway");
    let end = || gateway_metric("extconn_gateway_token_end_timestamp_seconds ").unwrap_or_default();
    let now = || {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.unwrap().as_secs_f64()
    };
    until(|| {
        let left = end() - now();
        (left > 3600.0)
            .then_some(())
            .ok_or(format!("{left} s left"))
    });
    assert!(end() - now() <= 24.0 * 3600.0 + 1.0);
    let first_end = now() + f64::from(life);
    // The old one has ended by then, and the renewed one works.
    until(|| {
        (now() > first_end + 5.0)
            .then_some(())
            .ok_or("not yet".into())
    });
    until(|| match gateway_metric("extconn_gateway_api_up ") {
        Some(up) if up > 0.0 => Ok(()),
        up => Err(format!("api_up {up:?}")),
    });
    let mode = on_gateway(&format!("stat --format='%a %U' {TOKEN}"));
    assert_eq!(mode.trim(), "600 extconn");
}

fn put(token: &str) {
    on_gateway(&format!(
        "umask 077; printf %s '{token}' >{TOKEN}.new && chown extconn:extconn {TOKEN}.new && \
         mv {TOKEN}.new {TOKEN}"
    ));
}

/// A token of the gateway's ServiceAccount that ends in `seconds`, of a life that is mostly over.
fn token_of(seconds: u32) -> String {
    let uid = [
        "get",
        "serviceaccount",
        "-n",
        NAMESPACE,
        "extconn-gateway",
        "-o=jsonpath={.metadata.uid}",
    ];
    let uid = ask::cluster_ok(&uid, "").unwrap();
    let sample = ask::cluster_ok(&["create", "token", "extconn-gateway", "-n", NAMESPACE], "");
    // Issuer, audience and the name of the key are those of a real one.
    let real = sample.unwrap();
    let script = "IFS=. read -r head body rest || true; for part in $head $body; do \
                  case $((${#part} % 4)) in 2) part=$part==;; 3) part=$part=;; esac; \
                  printf %s $part | tr '_-' '/+' | base64 --decode; echo; done";
    let decoded = String::from_utf8(on_machine(script, real.as_bytes())).unwrap();
    let (head, body) = decoded.split_once('\n').unwrap();
    let mut body: Value = serde_json::from_str(body.trim()).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.unwrap().as_secs();
    body["iat"] = json!(now - 600);
    body["nbf"] = json!(now - 600);
    body["exp"] = json!(now + u64::from(seconds));
    assert_eq!(body["kubernetes.io"]["serviceaccount"]["uid"], uid);
    let encode = "encode() { base64 --wrap=0 | tr '/+' '_-' | tr -d =; }; ";
    let text = on_machine(
        &format!(
            "{encode} read -r head; read -r body; printf %s \"$head\" | encode; printf .; printf %s \"$body\" | encode"
        ),
        format!("{head}\n{body}\n").as_bytes(),
    );
    let key = paths::pki().join("service-accounts.key");
    let sign = format!("openssl dgst -sha256 -sign {}", key.display());
    let text = String::from_utf8(text).unwrap();
    let signature = on_machine(
        &format!("{encode} encode"),
        &joined(&on_machine(&sign, text.as_bytes())),
    );
    format!("{text}.{}", String::from_utf8(signature).unwrap())
}

/// An ECDSA P-256 signature as a JSON web token has it (RFC 7518, section 3.4), from its DER form:
/// a sequence of two integers of up to 33 bytes.
fn joined(der: &[u8]) -> Vec<u8> {
    let first = usize::from(der[3]);
    let [r, s] = [&der[4..4 + first], &der[6 + first..]];
    let padded = |number: &[u8]| {
        let digits: Vec<u8> = number
            .iter()
            .copied()
            .skip_while(|byte| *byte == 0)
            .collect();
        [vec![0; 32 - digits.len()], digits].concat()
    };
    [padded(r), padded(s)].concat()
}

fn on_machine(script: &str, input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("bash")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{script}");
    output.stdout
}
