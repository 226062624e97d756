//! Pure: check `external-services-ready`.

use crate::check::{Check, Verdict, When};
use crate::status::observe::Observed;
use crate::status::view::StatusView;

pub(crate) const CHECK: Check = Check {
    name: "external-services-ready",
    group: "external-services",
    when: When::After,
    why: "An ExternalService that is not ready carries no traffic, or not all of it.",
    hint: "docs/conditions.md says what to do about each reason; `kubectl extconn test NAME` goes hop by hop",
    run: |seen| {
        let Some(external_services) = &seen.external_services else {
            return Verdict::Skipped("you may not list ExternalServices everywhere".to_owned());
        };
        let observed = Observed {
            external_services: external_services.clone(),
            forwarders: seen.forwarders.clone(),
            gateways: seen.gateways.clone(),
        };
        let view = StatusView::new(observed, &seen.connector_namespace);
        let not_ready = view.external_services.iter().filter(|es| !es.ready);
        let not_ready: Vec<String> = not_ready
            .map(|es| {
                format!(
                    "{}/{}: {}: {}",
                    es.namespace, es.name, es.reason, es.message
                )
            })
            .collect();
        match (external_services.len(), not_ready.as_slice()) {
            (0, _) => Verdict::Skipped("there is no ExternalService".to_owned()),
            (1, []) => Verdict::Passed("1 ExternalService is ready".to_owned()),
            (count, []) => Verdict::Passed(format!("{count} ExternalServices are ready")),
            (_, not_ready) => Verdict::Failed(not_ready.join("; ")),
        }
    },
};
