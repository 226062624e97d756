//! Pure: which gateway host the user means.

use crate::cluster::gateway_hosts::GatewayHost;
use crate::failure::Failure;
use crate::host::login::host_part;

/// The host that is written down and that `named` means: by its ssh destination, else by the host
/// in that or by its name in the cluster. `None` if it was set up by other means.
///
/// # Errors
/// It may be several.
pub(crate) fn noted<'a>(
    named: &str,
    known: &'a [GatewayHost],
) -> Result<Option<&'a GatewayHost>, Failure> {
    if let Some(exactly) = known.iter().find(|host| host.ssh == named) {
        return Ok(Some(exactly));
    }
    let wanted = host_part(named);
    let is_meant = |host: &&GatewayHost| host_part(&host.ssh) == wanted || host.name == wanted;
    let meant: Vec<&GatewayHost> = known.iter().filter(is_meant).collect();
    match meant.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        several => Err(
            Failure::usage(format!("{named} may be several gateway hosts"))
                .next(format!("name one of them in full: {}", listed(several))),
        ),
    }
}

/// Where to log in: as the user says if that names a user, else as it is written down.
pub(crate) fn login(named: &str, note: Option<&GatewayHost>) -> String {
    match note {
        Some(host) if !named.contains('@') => host.ssh.clone(),
        _ => named.to_owned(),
    }
}

/// There is no such note.
pub(crate) fn unknown(named: &str, known: &[GatewayHost]) -> Failure {
    let known: Vec<&GatewayHost> = known.iter().collect();
    let failure = Failure::usage(format!("no gateway host {named} is written down"));
    if known.is_empty() {
        return failure.next("there is nothing to forget: no gateway host is written down at all");
    }
    failure.next(format!("name one of these: {}", listed(&known)))
}

fn listed(hosts: &[&GatewayHost]) -> String {
    let texts: Vec<String> = hosts
        .iter()
        .map(|host| format!("{} ({})", host.ssh, host.name))
        .collect();
    texts.join(", ")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn host(name: &str, ssh: &str) -> GatewayHost {
        GatewayHost {
            name: name.into(),
            ssh: ssh.into(),
            ssh_endpoint: "192.0.2.1:2022".into(),
            source_ips: Vec::new(),
        }
    }

    /// `named` among three hosts: the name of the one that is meant, and where to log in.
    fn check(named: &str, expect: Option<&str>, login_at: &str) {
        let known = [
            host("edge", "root@gw1"),
            host("gw2", "root@192.0.2.2"),
            host("gw3", "admin@gw3"),
        ];
        let found = noted(named, &known).unwrap();
        assert_eq!(found.map(|host| host.name.as_str()), expect, "{named}");
        assert_eq!(login(named, found), login_at, "{named}");
    }

    #[test]
    fn a_host_is_found_by_destination_host_or_name() {
        check("root@gw1", Some("edge"), "root@gw1");
        check("gw1", Some("edge"), "root@gw1");
        check("edge", Some("edge"), "root@gw1");
        check("gw2", Some("gw2"), "root@192.0.2.2");
        check("192.0.2.2", Some("gw2"), "root@192.0.2.2");
        check("root@gw3", Some("gw3"), "root@gw3");
        check("gw4", None, "gw4");
    }

    #[test]
    fn a_host_that_may_be_several_is_asked_for_in_full() {
        let known = [host("a", "root@gw1"), host("b", "admin@gw1")];
        let failure = noted("gw1", &known).unwrap_err();
        assert_eq!(failure.status(), 2);
        assert!(failure.next_step().unwrap().contains("admin@gw1 (b)"));
        let one = noted("admin@gw1", &known).unwrap();
        assert_eq!(one.map(|host| host.name.as_str()), Some("b"));
    }
}
