//! Pure: check `ssh-installed`.

use crate::check::{Check, Verdict, When};

pub(crate) const CHECK: Check = Check {
    name: "ssh-installed",
    group: "this-machine",
    when: When::Before,
    why: "`init` sets up gateway hosts over your own OpenSSH, with your configuration and keys.",
    hint: "install the OpenSSH client",
    run: |seen| match seen.programs.contains(&"ssh") {
        true => Verdict::Passed("ssh is on the PATH".to_owned()),
        false => Verdict::Failed("ssh is not on the PATH".to_owned()),
    },
};
