//! Pure: check `crds-not-foreign`.

use kube::ResourceExt;

use crate::check::{Check, Verdict, When};

pub(crate) const CHECK: Check = Check {
    name: "crds-not-foreign",
    group: "cluster",
    when: When::Always,
    why: "Two programs cannot share one CustomResourceDefinition. Submariner's own, such as gateways.submariner.io, are no obstacle.",
    hint: "remove the other program that defines these names",
    run: |seen| {
        let Some(crds) = &seen.crds else {
            return Verdict::Skipped("you may not list CustomResourceDefinitions".to_owned());
        };
        let ours = extconn_api::crds();
        let version_of_ours = |name: &str| {
            ours.iter()
                .find(|ours| ours.name_any() == name)
                .map(|ours| ours.spec.versions[0].name.clone())
        };
        let foreign = crds.iter().find(|crd| {
            let version = version_of_ours(&crd.name_any());
            crd.spec
                .versions
                .iter()
                .all(|served| Some(&served.name) != version.as_ref())
        });
        match foreign {
            Some(crd) => Verdict::Failed(format!(
                "{} is there in another version than ours",
                crd.name_any()
            )),
            None => Verdict::Passed(
                "nobody else uses the names of our CustomResourceDefinitions".to_owned(),
            ),
        }
    },
};
