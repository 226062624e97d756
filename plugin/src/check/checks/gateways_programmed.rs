//! Pure: check `gateways-programmed`.

use extconn_api::condition::{self, GatewayCondition};

use crate::check::{Check, Verdict, When};

pub(crate) const CHECK: Check = Check {
    name: "gateways-programmed",
    group: "gateways",
    when: When::After,
    why: "A gateway that has not taken over the latest change still does what was wanted before; one that does not report may be down.",
    hint: "see `kubectl extconn logs gateway`; `kubectl extconn init` repairs a gateway host",
    run: |seen| {
        let Some(gateways) = &seen.gateways else {
            return Verdict::Skipped("you may not list Gateways".to_owned());
        };
        let troubles: Vec<String> = gateways
            .iter()
            .filter_map(|gateway| {
                let ip = &gateway.spec.source_ip;
                let Some(status) = gateway.status.as_ref() else {
                    return Some(format!("{ip}: no gateway reports for it"));
                };
                let Some(programmed) =
                    condition::find(&status.conditions, GatewayCondition::Programmed)
                else {
                    return Some(format!("{ip}: no gateway reports for it"));
                };
                if programmed.status != "True" {
                    return Some(format!("{ip}: {}", programmed.message));
                }
                let behind = programmed.observed_generation != gateway.metadata.generation;
                behind.then(|| format!("{ip}: its gateway has not taken over the latest change"))
            })
            .collect();
        match (gateways.len(), troubles.as_slice()) {
            (0, _) => Verdict::Skipped("no source IP is in use".to_owned()),
            (count, []) => Verdict::Passed(format!("{count} gateways are programmed")),
            (_, troubles) => Verdict::Failed(troubles.join("; ")),
        }
    },
};
