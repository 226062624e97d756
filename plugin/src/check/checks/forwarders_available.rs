//! Pure: check `forwarders-available`.

use extconn_api::names;
use kube::ResourceExt;

use crate::check::{Check, Verdict, When};
use crate::cluster::pods;

pub(crate) const CHECK: Check = Check {
    name: "forwarders-available",
    group: "forwarders",
    when: When::After,
    why: "Forwarders take the pods' connections; without one, nothing gets out or in.",
    hint: "see `kubectl extconn logs forwarder` and `kubectl -n external-services describe pods`",
    run: |seen| {
        let Some(deployments) = &seen.deployments else {
            return Verdict::Skipped(format!(
                "you may not list Deployments in namespace {}",
                seen.connector_namespace
            ));
        };
        let forwarders: Vec<_> = deployments
            .iter()
            .filter(|d| d.labels().contains_key(names::LABEL_NAME))
            .collect();
        let (mut down, mut partly) = (Vec::new(), Vec::new());
        for deployment in &forwarders {
            let name = &deployment.labels()[names::LABEL_NAME];
            let wanted = deployment
                .spec
                .as_ref()
                .and_then(|spec| spec.replicas)
                .unwrap_or(1);
            let available = deployment
                .status
                .as_ref()
                .and_then(|status| status.available_replicas)
                .unwrap_or(0);
            let own = |labels: &std::collections::BTreeMap<String, String>| {
                labels.get(names::LABEL_NAME) == Some(name)
            };
            let why = seen
                .pods
                .iter()
                .flatten()
                .filter(|pod| own(pod.labels()))
                .find_map(pods::trouble);
            let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
            let text = format!("{name} has {available} of {wanted} replicas{why}");
            match available {
                0 => down.push(text),
                some if some < wanted => partly.push(text),
                _ => {}
            }
        }
        match (forwarders.len(), down.as_slice(), partly.as_slice()) {
            (0, ..) => Verdict::Skipped("there is no ExternalService to forward for".to_owned()),
            (count, [], []) => Verdict::Passed(format!(
                "the forwarders of {count} ExternalServices are available"
            )),
            (_, [], partly) => Verdict::Warning(partly.join("; ")),
            (_, down, _) => Verdict::Failed(down.join("; ")),
        }
    },
};
