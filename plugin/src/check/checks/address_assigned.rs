//! Pure: check `source-ips-assigned`.

use extconn_api::condition::{self, GatewayCondition};

use crate::check::{Check, Verdict, When};

pub(crate) const CHECK: Check = Check {
    name: "source-ips-assigned",
    group: "gateways",
    when: When::After,
    why: "A source IP that is on no interface of its gateway host can neither be used nor be reached.",
    hint: "assign the address on the gateway host, or let the gateway do so: `kubectl extconn init --gateway USER@HOST --source-ip IP=INTERFACE`",
    run: |seen| {
        let Some(gateways) = &seen.gateways else {
            return Verdict::Skipped("you may not list Gateways".to_owned());
        };
        let troubles: Vec<String> = gateways
            .iter()
            .filter_map(|gateway| {
                let conditions = gateway
                    .status
                    .as_ref()
                    .map_or(&[][..], |status| &status.conditions);
                let assigned = condition::find(conditions, GatewayCondition::AddressAssigned)?;
                (assigned.status != "True")
                    .then(|| format!("{}: {}", gateway.spec.source_ip, assigned.message))
            })
            .collect();
        match (gateways.len(), troubles.as_slice()) {
            (0, _) => Verdict::Skipped("no source IP is in use".to_owned()),
            (count, []) => {
                Verdict::Passed(format!("{count} source IPs are on their gateway hosts"))
            }
            (_, troubles) => Verdict::Failed(troubles.join("; ")),
        }
    },
};
