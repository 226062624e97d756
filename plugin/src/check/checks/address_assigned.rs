//! Pure: check `source-ips-assigned`.

use extconn_api::condition::GatewayCondition;

use super::conditions_of_gateways::verdict;
use crate::check::{Check, When};

pub(crate) const CHECK: Check = Check {
    name: "source-ips-assigned",
    group: "gateways",
    when: When::After,
    why: "A source IP that is on no interface of its gateway host can neither be used nor be reached.",
    hint: "assign the address on the gateway host, or let the gateway do so: `kubectl extconn init --gateway USER@HOST --source-ip IP=INTERFACE`",
    run: |seen| {
        verdict(seen, GatewayCondition::AddressAssigned, |count| {
            format!("{count} source IPs are on their gateway hosts")
        })
    },
};
