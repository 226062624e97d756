//! Pure: check `no-stuck-deletion`.

use kube::ResourceExt;

use crate::check::{Check, Verdict, When};

pub(crate) const CHECK: Check = Check {
    name: "no-stuck-deletion",
    group: "external-services",
    when: When::After,
    why: "An ExternalService is deleted only when the operator has removed what it made. Without an operator it stays for ever.",
    hint: "make the operator run: see the check operator-available",
    run: |seen| {
        let Some(external_services) = &seen.external_services else {
            return Verdict::Skipped("you may not list ExternalServices everywhere".to_owned());
        };
        let deleting = external_services
            .iter()
            .filter(|es| es.metadata.deletion_timestamp.is_some());
        let deleting: Vec<String> = deleting
            .map(|es| format!("{}/{}", es.namespace().unwrap_or_default(), es.name_any()))
            .collect();
        match deleting.as_slice() {
            [] => Verdict::Passed("none waits to be deleted".to_owned()),
            deleting => Verdict::Warning(format!("waiting to be deleted: {}", deleting.join(", "))),
        }
    },
};
