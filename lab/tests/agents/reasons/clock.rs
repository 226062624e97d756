//! The gateway's clock beside the API server's.

use extconn_api::condition::GatewayReason as Reason;
use extconn_lab::walkthrough::ask;
use serde_json::{Value, json};

use super::change::Change;
use super::{NAMESPACE, Seen};
use crate::world::{on_gateway, until};

const ROLE: &str = "role/extconn-gateway";
const ACCOUNT: &str = "--as=system:serviceaccount:external-services:extconn-gateway";

pub fn a_clock_that_is_off_or_cannot_be_compared_is_told(seen: &mut Seen<'_>) {
    // As under a chart that is older than the gateway.
    let lease_refused = without_leases();
    on_gateway("systemctl restart extconn-gateway");
    let words = ["Lease extconn-gateway-gateway", "journalctl"];
    seen.expect(Reason::NotCompared, &words);
    let fast = fast_api_server();
    drop(lease_refused);
    let words = [" s behind the API server's", "timedatectl set-ntp true"];
    seen.expect(Reason::ClockOff, &words);
    drop(fast);
    seen.expect_well();
}

/// The gateway's Role has no Leases.
fn without_leases() -> Change {
    let role = ask::cluster_ok(&["get", "-n", NAMESPACE, ROLE, "-o=json"], "").unwrap();
    let whole: Value = serde_json::from_str(&role).unwrap();
    let rules = |keep: &dyn Fn(&Value) -> bool| {
        let rules = whole["rules"].as_array().unwrap().iter();
        json!({"rules": rules.filter(|rule| keep(rule)).collect::<Vec<_>>()})
    };
    let all = rules(&|_| true);
    let fewer = rules(&|rule| rule["resources"] != json!(["leases"]));
    Change::new(
        || {
            put_rules(&fewer);
            // Whoever authorizes has heard of it.
            until(|| {
                let can = ["auth", "can-i", "patch", "leases", "-n", NAMESPACE, ACCOUNT];
                let said = ask::cluster(&can, "").unwrap();
                (!said.success).then_some(()).ok_or(said.stdout)
            });
        },
        move || put_rules(&all),
    )
}

fn put_rules(rules: &Value) {
    let patch = format!("--patch={rules}");
    let args = ["patch", "-n", NAMESPACE, ROLE, "--type=merge", &patch];
    ask::cluster_ok(&args, "").unwrap();
}

/// The API server says of the gateway's Lease that it was written an hour later than it was, as
/// one whose clock is fast would: all hosts of the lab have one kernel, and it has one clock.
fn fast_api_server() -> Change {
    let time = "/metadata/managedFields/0/time";
    let later = "string(timestamp(object.metadata.managedFields[0].time) + duration('1h'))";
    let group = "admissionregistration.k8s.io/v1";
    let name = json!({"name": "extconn-lab-fast-clock"});
    Change::of_objects(json!([
        {
            "apiVersion": group, "kind": "MutatingAdmissionPolicy", "metadata": name,
            "spec": {
                "failurePolicy": "Fail",
                "reinvocationPolicy": "Never",
                "matchConstraints": {"resourceRules": [{
                    "apiGroups": ["coordination.k8s.io"], "apiVersions": ["v1"],
                    "resources": ["leases"], "operations": ["CREATE", "UPDATE"],
                }]},
                "matchConditions": [{
                    "name": "of-a-gateway",
                    "expression": "object.metadata.name.startsWith('extconn-gateway-')",
                }],
                "mutations": [{
                    "patchType": "JSONPatch",
                    "jsonPatch": {"expression": format!(
                        "[JSONPatch{{op: 'replace', path: '{time}', value: {later}}}]"
                    )},
                }],
            },
        },
        {
            "apiVersion": group, "kind": "MutatingAdmissionPolicyBinding", "metadata": name,
            "spec": {"policyName": name["name"]},
        },
    ]))
}
