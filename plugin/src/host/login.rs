//! Pure: what ssh and sudo mean when they refuse.

use crate::failure::Failure;
use crate::program::{Said, quoted};

/// What to tell when ssh itself failed (status 255).
pub(crate) fn explain(destination: &str, stderr: &str) -> Failure {
    let refused = |what: String, next: String| Failure::could_not_run(what).next(next);
    // A jump host that refuses is followed by lines about the connection that it broke.
    let line_with = |words: &str| stderr.lines().map(str::trim).find(|l| l.contains(words));
    if line_with("REMOTE HOST IDENTIFICATION HAS CHANGED").is_some() {
        return changed_key(destination, stderr);
    }
    if line_with("Host key verification failed").is_some() {
        let name = between(stderr, "host key is known for ", " and you").unwrap_or(destination);
        return refused(
            format!("the ssh host key of {name} is not known"),
            format!("log in once with `ssh {destination}`, compare the key, and accept it"),
        );
    }
    if let Some(line) = line_with("Too many authentication failures") {
        return refused(
            format!("{destination} refuses the login: {line}"),
            format!(
                "have ssh offer the right key alone, with IdentityFile and IdentitiesOnly in your \
                 configuration: make `ssh {destination}` work first"
            ),
        );
    }
    if let Some(line) = line_with("Permission denied") {
        return refused(
            format!("{destination} refuses the login: {line}"),
            format!(
                "name the right user (USER@HOST), or make `ssh {destination}` work without a password"
            ),
        );
    }
    if let Some(line) = line_with("Could not resolve hostname") {
        return refused(
            format!("the name of {destination} is not known: {line}"),
            "name an address, or a host of your ssh configuration".to_owned(),
        );
    }
    let unreached = UNREACHED
        .iter()
        .find_map(|(words, look)| Some((line_with(words)?, Some(*look))));
    let lines = stderr.lines().map(str::trim);
    let last = lines.rev().find(|line| !line.is_empty());
    let (line, look) = unreached.unwrap_or((last.unwrap_or("ssh said nothing"), None));
    let look = look.map(|look| format!("{look}: ")).unwrap_or_default();
    refused(
        format!("failed to log in on {destination}: {line}"),
        format!("{look}make `ssh {destination}` work first"),
    )
}

/// What ssh says when nothing answers it, and where to look.
const UNREACHED: [(&str, &str); 4] = [
    (
        "Connection refused",
        "see whether an ssh server runs there, and at which port (Port in your ssh configuration)",
    ),
    (
        "timed out",
        "see whether the host runs and has that address, and whether a firewall keeps ssh out",
    ),
    (
        "No route to host",
        "see whether the host runs and has that address",
    ),
    (
        "Network is unreachable",
        "see whether this machine has a route to that network",
    ),
];

/// Takes the key's name and file from ssh's own words: behind an alias, a port or a jump host they
/// are not those of the destination.
fn changed_key(destination: &str, stderr: &str) -> Failure {
    let name = between(stderr, "Host key for ", " has changed")
        .unwrap_or_else(|| host_part(destination))
        .trim();
    let offending = stderr.lines().find_map(|line| {
        let (_, place) = line.strip_prefix("Offending ")?.split_once(" key in ")?;
        Some(place.trim().rsplit_once(':')?.0)
    });
    let file = offending.map(|file| format!("-f {} ", quoted(file)));
    Failure::could_not_run(format!(
        "the ssh host key of {name} is not the one in your known_hosts: it may be another machine"
    ))
    .next(format!(
        "ask its administrator for the new key; if it is right, `ssh-keygen {}-R {}` and run this again",
        file.unwrap_or_default(),
        quoted(name)
    ))
}

/// What to tell when the login runs something else than what it is told to, as cloud images have
/// it for root.
pub(crate) fn explain_no_shell(destination: &str, said: &Said) -> Failure {
    let mut lines = said.stdout.lines().chain(said.stderr.lines());
    let instead = lines.find(|line| !line.trim().is_empty());
    Failure::could_not_run(match instead {
        Some(line) => format!("{destination} runs no commands, but says: {}", line.trim()),
        None => format!("{destination} runs no commands: {}", said.complaint()),
    })
    .next("name the right user (USER@HOST), whom the host lets run commands and sudo")
}

/// What to tell when sudo does not give root without asking.
pub(crate) fn explain_sudo(destination: &str, said: &Said) -> Failure {
    const NO_PASSWORD: &str = "log in as root, or let the user run sudo without a password (NOPASSWD) for the time of this";
    let says = |words: &[&str]| words.iter().any(|words| said.stderr.contains(words));
    let (why, next) = if says(&["a password is required", "a terminal is required"]) {
        ("sudo asks for a password".to_owned(), NO_PASSWORD)
    } else if says(&["not in the sudoers file", "is not allowed to"]) {
        (
            "sudo does not allow it to the user".to_owned(),
            "log in as root, or have the user added to the sudoers file, without a password (NOPASSWD)",
        )
    } else if says(&["sudo: command not found", "sudo: not found"]) {
        (
            "there is no sudo".to_owned(),
            "log in as root, or install sudo and let the user run it without a password (NOPASSWD)",
        )
    } else {
        (said.complaint(), NO_PASSWORD)
    };
    Failure::could_not_run(format!(
        "{destination} is not root's login, and does not become root: {why}"
    ))
    .next(next)
}

/// `gw` of `root@gw`.
pub(crate) fn host_part(destination: &str) -> &str {
    destination.rsplit('@').next().unwrap_or(destination)
}

/// What stands between these words.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    Some(rest.split_once(after)?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stderr: &str, expect: &str, next: &str) {
        let failure = explain("me@gw1", stderr);
        assert_eq!(failure.status(), 3);
        assert!(failure.message().contains(expect), "{failure:?}");
        let step = failure.next_step().unwrap();
        assert!(step.contains(next), "{failure:?}");
    }

    #[test]
    fn refusals_of_ssh_are_told_by_their_cause() {
        check(
            "No ED25519 host key is known for [192.0.2.9]:2222 and you have requested strict checking.\nHost key verification failed.",
            "of [192.0.2.9]:2222 is not known",
            "log in once with `ssh me@gw1`",
        );
        check(
            "me@jump: Permission denied (publickey,password).\nConnection closed by UNKNOWN port 65535",
            "refuses the login: me@jump: Permission denied",
            "right user",
        );
        check(
            "Received disconnect from 192.0.2.1 port 22:2: Too many authentication failures",
            "refuses the login",
            "IdentitiesOnly",
        );
        check(
            "ssh: Could not resolve hostname gw1: Name or service not known",
            "name of me@gw1 is not known",
            "name an address",
        );
        check("", "ssh said nothing", "make `ssh me@gw1` work first");
    }

    #[test]
    fn a_host_that_is_not_reached_is_told_with_where_to_look() {
        let connect = |why: &str| format!("ssh: connect to host gw1 port 22: {why}");
        for (why, next) in [
            ("Connection refused", "an ssh server runs there"),
            ("Connection timed out", "a firewall"),
            ("No route to host", "has that address"),
            ("Network is unreachable", "a route to that network"),
        ] {
            check(&connect(why), why, next);
            check(&connect(why), why, "make `ssh me@gw1` work first");
        }
    }

    #[test]
    fn a_changed_key_is_named_as_ssh_names_it() {
        const CHANGED: &str = "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @";
        check(CHANGED, "another machine", "`ssh-keygen -R gw1`");
        let jump = format!(
            "{CHANGED}\nOffending ED25519 key in /home/me/.ssh/known_hosts:7\n\
             Host key for [192.0.2.1]:2222 has changed and you have requested strict checking.\n\
             Host key verification failed.\nConnection closed by UNKNOWN port 65535"
        );
        check(
            &jump,
            "host key of [192.0.2.1]:2222 is not the one",
            "`ssh-keygen -f /home/me/.ssh/known_hosts -R '[192.0.2.1]:2222'`",
        );
    }

    #[test]
    fn a_login_that_runs_something_else_is_quoted() {
        let said = Said {
            status: Some(142),
            stdout: "\nPlease login as the user \"debian\" rather than the user \"root\".\n\n"
                .into(),
            stderr: String::new(),
        };
        let failure = explain_no_shell("root@gw1", &said);
        assert!(
            failure
                .message()
                .contains("says: Please login as the user \"debian\"")
        );
        assert!(failure.next_step().unwrap().contains("USER@HOST"));
    }

    #[test]
    fn sudo_is_told_by_what_it_lacks() {
        for (stderr, why, next) in [
            (
                "sudo: a password is required",
                "asks for a password",
                "NOPASSWD",
            ),
            (
                "me is not in the sudoers file.",
                "does not allow it",
                "added to the sudoers file",
            ),
            ("sh: 1: sudo: not found", "there is no sudo", "install sudo"),
            (
                "bash: line 1: sudo: command not found",
                "there is no sudo",
                "install sudo",
            ),
            ("sudo: no space left", "no space left", "NOPASSWD"),
        ] {
            let said = Said {
                status: Some(1),
                stdout: "1000\n".into(),
                stderr: stderr.into(),
            };
            let failure = explain_sudo("me@gw1", &said);
            assert!(failure.message().contains(why), "{failure:?}");
            assert!(failure.next_step().unwrap().contains(next), "{failure:?}");
        }
    }
}
