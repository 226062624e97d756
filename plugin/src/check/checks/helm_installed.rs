//! Pure: check `helm-installed`.

use crate::check::{Check, Verdict, When};

pub(crate) const CHECK: Check = Check {
    name: "helm-installed",
    group: "this-machine",
    when: When::Before,
    why: "`init` installs the chart with your own helm.",
    hint: "install Helm 3.14 or later: https://helm.sh/docs/intro/install/",
    run: |seen| match seen.programs.contains(&"helm") {
        true => Verdict::Passed("helm is on the PATH".to_owned()),
        false => Verdict::Failed("helm is not on the PATH".to_owned()),
    },
};
