//! Pure: check `version-skew`.

use crate::check::{Check, Verdict, When};
use crate::version::report::Versions;

pub(crate) const CHECK: Check = Check {
    name: "version-skew",
    group: "installation",
    when: When::After,
    why: "Parts of different minor versions may not understand each other's objects.",
    hint: "upgrade the older one: the plugin with krew, the cluster with `kubectl extconn init`",
    run: |seen| {
        let Some(deployments) = &seen.deployments else {
            return Verdict::Skipped(format!(
                "you may not list Deployments in namespace {}",
                seen.connector_namespace
            ));
        };
        let mut versions = Versions::of_the_client();
        versions.add_deployments(deployments);
        versions.add_gateways(&seen.gateway_leases);
        match versions.skew().as_slice() {
            [] => Verdict::Passed(
                "plugin, operator, forwarders and gateways are of one minor version".to_owned(),
            ),
            skew => Verdict::Warning(skew.join("; ")),
        }
    },
};
