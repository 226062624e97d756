//! Every reason of every condition that a gateway writes, from a real gateway by the real API
//! server: each message names the object, the value and the next step, and what was wrong heals by
//! itself when its cause goes.

mod change;
mod clock;
mod host;
mod rules;
mod spec;

use std::collections::BTreeSet;

use extconn_api::condition::{GatewayCondition, GatewayReason as Reason};
use extconn_lab::walkthrough::{Scenario, ask, scenario};
use serde_json::Value;

use crate::world::{in_scenario, of_external_service, until, until_carries, until_says};

const GATEWAYS: &str = "gateways.extconn.submariner.io";
const NAMESPACE: &str = scenario::CONNECTOR_NAMESPACE;

/// A scenario, and the reasons that its first source IP's Gateway has given so far.
struct Seen<'a> {
    scenario: &'a Scenario,
    source_ip: String,
    reasons: BTreeSet<String>,
}

/// The condition that a reason is of, and its status.
fn place(reason: Reason) -> (GatewayCondition, &'static str) {
    match reason {
        Reason::Assigned => (GatewayCondition::AddressAssigned, "True"),
        Reason::AddressMissing | Reason::AssignFailed => {
            (GatewayCondition::AddressAssigned, "False")
        }
        Reason::Programmed => (GatewayCondition::Programmed, "True"),
        Reason::InvalidSpec | Reason::NotAllowed | Reason::ApplyFailed | Reason::NotListening => {
            (GatewayCondition::Programmed, "False")
        }
        Reason::InSync => (GatewayCondition::ClockInSync, "True"),
        Reason::ClockOff => (GatewayCondition::ClockInSync, "False"),
        Reason::NotCompared => (GatewayCondition::ClockInSync, "Unknown"),
    }
}

impl Seen<'_> {
    /// The Gateway object.
    fn gateway(&self) -> Value {
        let get = ["get", "-n", NAMESPACE, GATEWAYS, &self.source_ip, "-o=json"];
        let said = ask::cluster(&get, "").unwrap();
        serde_json::from_str(&said.stdout).unwrap_or_default()
    }

    /// Waits until the gateway gives this reason for the present generation, with the name of its
    /// host and all of `words` in the message.
    fn expect(&mut self, reason: Reason, words: &[&str]) {
        let (type_, status) = place(reason);
        until(|| {
            let gateway = self.gateway();
            let conditions = gateway["status"]["conditions"].as_array();
            let condition = conditions
                .into_iter()
                .flatten()
                .find(|c| c["type"] == type_.to_string())
                .ok_or_else(|| format!("no {type_} in {gateway}"))?;
            let message = condition["message"].as_str().unwrap_or_default();
            let current = condition["observedGeneration"] == gateway["metadata"]["generation"];
            let says =
                message.contains("host gateway") && words.iter().all(|w| message.contains(w));
            let given = condition["status"] == status && condition["reason"] == reason.to_string();
            (given && current && says)
                .then_some(())
                .ok_or_else(|| format!("not {reason} with {words:?}: {condition}"))
        });
        self.reasons.insert(reason.to_string());
    }

    /// As `expect`, for what the author of the ExternalService is told too.
    fn expect_and_tell(&mut self, reason: Reason, words: &[&str]) {
        self.expect(reason, words);
        let told = || of_external_service(self.scenario, "Ready");
        until_says(told, "False GatewayNotProgrammed: gateway gateway", words);
    }

    /// All is well, and traffic goes both ways.
    fn expect_well(&mut self) {
        let source_ip = self.source_ip.clone();
        self.expect(Reason::Assigned, &[&source_ip]);
        self.expect(Reason::Programmed, &[&source_ip]);
        self.expect(Reason::InSync, &["agrees"]);
        let told = || of_external_service(self.scenario, "Ready");
        until_says(told, "True Ready: ", &[]);
        until_carries(self.scenario);
    }
}

#[test]
#[ignore = "needs a lab with extconn in it: make installation"]
fn every_reason_of_a_gateway_names_object_value_and_next_step() {
    in_scenario("reasons", |scenario| {
        let mut seen = Seen {
            scenario,
            source_ip: scenario.sources[0].source_ip.to_string(),
            reasons: BTreeSet::new(),
        };
        seen.expect_well();
        host::a_source_ip_that_leaves_the_host_is_named_and_nothing_leaves_from_another(&mut seen)?;
        host::a_taken_ssh_port_is_taken_over_when_it_is_free(&mut seen);
        rules::without_iptables_what_is_in_effect_carries_on(&mut seen)?;
        spec::what_somebody_else_wrote_is_left_out_until_the_operator_is_back(&mut seen)?;
        clock::a_clock_that_is_off_or_cannot_be_compared_is_told(&mut seen);
        let all: BTreeSet<_> = Reason::ALL.iter().map(ToString::to_string).collect();
        assert_eq!(seen.reasons, all, "a reason that nothing here produces");
        Ok(())
    });
}
