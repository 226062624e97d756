//! Pure: check `install-permissions`.

use crate::check::{Check, Verdict, When};

pub(crate) const CHECK: Check = Check {
    name: "install-permissions",
    group: "cluster",
    when: When::Before,
    why: "Installing makes CustomResourceDefinitions, roles and a namespace, which only some may.",
    hint: "ask a cluster administrator for the verbs and resources named, or impersonate one with --as",
    run: |seen| match seen.missing_permissions.as_slice() {
        [] => Verdict::Passed("you may install extconn".to_owned()),
        missing => {
            let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
            Verdict::Failed(format!("you may not {}", missing.join("; nor ")))
        }
    },
};
