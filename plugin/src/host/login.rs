//! Pure: what ssh and sudo mean when they refuse.

use crate::failure::Failure;
use crate::program::Said;

/// What to tell when ssh itself failed (status 255).
pub(crate) fn explain(destination: &str, stderr: &str) -> Failure {
    let said = |words: &str| stderr.contains(words);
    let last = stderr
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("ssh said nothing")
        .trim();
    if said("REMOTE HOST IDENTIFICATION HAS CHANGED") {
        return Failure::could_not_run(format!(
            "the ssh host key of {destination} is not the one in your known_hosts: it may be another machine"
        ))
        .next(format!(
            "ask its administrator for the new key; if it is right, `ssh-keygen -R {}` and run this again",
            host_part(destination)
        ));
    }
    if said("Host key verification failed") {
        return Failure::could_not_run(format!("the ssh host key of {destination} is not known"))
            .next(format!(
                "log in once with `ssh {destination}`, compare the key, and accept it"
            ));
    }
    if said("Permission denied") {
        return Failure::could_not_run(format!("{destination} refuses the login: {last}")).next(format!(
            "name the right user (USER@HOST), or make `ssh {destination}` work without a password"
        ));
    }
    if said("Could not resolve hostname") {
        return Failure::could_not_run(format!("the name of {destination} is not known: {last}"))
            .next("name an address, or a host of your ssh configuration");
    }
    Failure::could_not_run(format!("failed to log in on {destination}: {last}"))
        .next(format!("make `ssh {destination}` work first"))
}

/// What to tell when sudo does not give root without asking.
pub(crate) fn explain_sudo(destination: &str, said: &Said) -> Failure {
    let why = if said.stderr.contains("a password is required")
        || said.stderr.contains("a terminal is required")
    {
        "sudo asks for a password".to_owned()
    } else {
        said.complaint()
    };
    Failure::could_not_run(format!("{destination} is not root's login, and does not become root: {why}"))
        .next("log in as root, or let the user run sudo without a password (NOPASSWD) for the time of this")
}

/// `gw` of `root@gw`.
fn host_part(destination: &str) -> &str {
    destination.rsplit('@').next().unwrap_or(destination)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stderr: &str, expect: &str) {
        let failure = explain("me@gw1", stderr);
        assert_eq!(failure.status(), 3);
        assert!(failure.message().contains(expect), "{failure:?}");
        assert!(failure.next_step().is_some());
    }

    #[test]
    fn refusals_of_ssh_are_told_by_their_cause() {
        check(
            "@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\nHost key verification failed.",
            "another machine",
        );
        check(
            "No ED25519 host key is known for gw1 and you have requested strict checking.\nHost key verification failed.",
            "is not known",
        );
        check(
            "me@gw1: Permission denied (publickey,password).",
            "refuses the login",
        );
        check(
            "ssh: Could not resolve hostname gw1: Name or service not known",
            "name of me@gw1 is not known",
        );
        check(
            "ssh: connect to host gw1 port 22: Connection refused",
            "Connection refused",
        );
        check("", "ssh said nothing");
    }

    #[test]
    fn a_changed_key_names_the_host_alone_to_forget() {
        let failure = explain("me@gw1", "REMOTE HOST IDENTIFICATION HAS CHANGED");
        assert!(
            failure.next_step().unwrap().contains("ssh-keygen -R gw1"),
            "{failure:?}"
        );
    }

    #[test]
    fn sudo_that_asks_is_told() {
        let said = Said {
            status: Some(1),
            stdout: "1000\n".into(),
            stderr: "sudo: a password is required".into(),
        };
        assert!(
            explain_sudo("me@gw1", &said)
                .message()
                .contains("sudo asks for a password")
        );
    }
}
