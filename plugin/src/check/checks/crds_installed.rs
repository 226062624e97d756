//! Pure: check `crds-installed`.

use kube::ResourceExt;

use crate::check::{Check, Verdict, When};

pub(crate) const CHECK: Check = Check {
    name: "crds-installed",
    group: "installation",
    when: When::After,
    why: "Without its CustomResourceDefinitions the cluster does not know what an ExternalService is.",
    hint: "run `kubectl extconn init`",
    run: |seen| {
        let Some(crds) = &seen.crds else {
            return Verdict::Skipped("you may not list CustomResourceDefinitions".to_owned());
        };
        let names = extconn_api::crds().into_iter().map(|ours| ours.name_any());
        let missing: Vec<String> = names
            .filter(|name| !crds.iter().any(|crd| crd.name_any() == *name))
            .collect();
        match missing.as_slice() {
            [] => Verdict::Passed("all CustomResourceDefinitions are there".to_owned()),
            missing => Verdict::Failed(format!("missing: {}", missing.join(", "))),
        }
    },
};
