//! Pure: check `clocks-in-sync`.

use extconn_api::condition::GatewayCondition;

use super::conditions_of_gateways::verdict;
use crate::check::{Check, When};

pub(crate) const CHECK: Check = Check {
    name: "clocks-in-sync",
    group: "gateways",
    when: When::After,
    why: "A gateway whose clock is off takes a token for expired, or an expired one for good, and loses the API server.",
    hint: "let the gateway host follow a time server: `timedatectl set-ntp true` there",
    run: |seen| {
        verdict(seen, GatewayCondition::ClockInSync, |count| {
            format!("the gateways of {count} source IPs agree with the API server's clock")
        })
    },
};
