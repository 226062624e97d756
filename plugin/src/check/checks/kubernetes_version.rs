//! Pure: check `kubernetes-version`.

use crate::check::{Check, Verdict, When};

/// Oldest minor version of Kubernetes 1 that the chart takes.
const OLDEST_MINOR: u32 = 31;

pub(crate) const CHECK: Check = Check {
    name: "kubernetes-version",
    group: "cluster",
    when: When::Always,
    why: "The CustomResourceDefinitions are validated with functions that older API servers do not have.",
    hint: "upgrade the cluster to Kubernetes 1.31 or later",
    run: |seen| {
        let version = &seen.kubernetes;
        let minor = version
            .strip_prefix("v1.")
            .and_then(|rest| rest.split('.').next()?.parse::<u32>().ok());
        match minor {
            Some(minor) if minor >= OLDEST_MINOR => {
                Verdict::Passed(format!("Kubernetes {version}"))
            }
            Some(_) => Verdict::Failed(format!(
                "Kubernetes {version} is older than v1.{OLDEST_MINOR}"
            )),
            None => Verdict::Warning(format!("{version:?} is no version that can be compared")),
        }
    },
};
