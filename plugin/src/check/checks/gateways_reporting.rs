//! Pure: check `gateways-reporting`.

use extconn_api::condition::GATEWAY_REPORTING;

use super::conditions_of_gateways::verdict;
use crate::check::{Check, When};

pub(crate) const CHECK: Check = Check {
    name: "gateways-reporting",
    group: "gateways",
    when: When::After,
    why: "A gateway that gives no sign of life may be down, or cut off from the API server: what it said last may no longer hold, and it learns of no change.",
    hint: "see `kubectl extconn logs gateway`, and that the gateway host reaches the API server; `kubectl extconn init` repairs a gateway host",
    run: |seen| {
        verdict(seen, GATEWAY_REPORTING, |count| {
            format!("the gateways of {count} source IPs give signs of life")
        })
    },
};
