//! Pure: check `sources-have-pods`.

use kube::ResourceExt;

use crate::check::{Check, Verdict, When};
use crate::cluster::pods;

pub(crate) const CHECK: Check = Check {
    name: "sources-have-pods",
    group: "external-services",
    when: When::After,
    why: "A Service without pods gives its source IP to nobody, and nobody answers behind it.",
    hint: "compare the Service's selector with the labels of your pods: `kubectl get endpointslices`",
    run: |seen| {
        let (Some(external_services), Some(slices)) =
            (&seen.external_services, &seen.endpoint_slices)
        else {
            return Verdict::Skipped(
                "you may not list ExternalServices and EndpointSlices everywhere".to_owned(),
            );
        };
        let mut without = Vec::new();
        for es in external_services {
            for source in &es.spec.sources {
                let namespace = source
                    .service
                    .namespace
                    .clone()
                    .or_else(|| es.namespace())
                    .unwrap_or_default();
                if pods::behind(slices, &namespace, &source.service.name).pods == 0 {
                    without.push(format!("{namespace}/{}", source.service.name));
                }
            }
        }
        match (external_services.len(), without.as_slice()) {
            (0, _) => Verdict::Skipped("there is no ExternalService".to_owned()),
            (_, []) => Verdict::Passed("every source Service has pods".to_owned()),
            (_, without) => Verdict::Warning(format!("no pod is behind {}", without.join(", "))),
        }
    },
};
