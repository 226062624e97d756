use extconn_api::condition::find;
use jiff::Timestamp;

use super::*;

fn at(second: i64) -> Time {
    Time(Timestamp::from_second(second).unwrap())
}

/// A claim with these refusals, in turn to forwarders bank and crm.
fn claim(refusals: Vec<Refusal>) -> Claim {
    let forwarders = ["bank", "crm"].map(str::to_owned);
    let refusals = refusals.into_iter().zip(forwarders.into_iter().cycle());
    Claim {
        source_ip: "192.0.2.10".parse().unwrap(),
        generation: Some(4),
        reserved_for: Some(vec!["shop".into()]),
        refusals: refusals
            .map(|(refusal, forwarder)| Refused {
                forwarder: Some(forwarder),
                refusal,
            })
            .collect(),
    }
}

fn host(effect: Effect) -> HostFacts {
    HostFacts {
        host_name: "gw1".into(),
        ssh_endpoint: "192.0.2.1:2022".into(),
        host_key: "ssh-ed25519 AAAA".into(),
        effect,
        clock_ahead: Some(0),
    }
}

/// Status, reason and message of one condition.
fn said(status: &GatewayStatus, type_: GatewayCondition) -> (&str, &str, &str) {
    let condition = find(&status.conditions, type_).unwrap();
    assert_eq!(condition.observed_generation, Some(4));
    (&condition.status, &condition.reason, &condition.message)
}

#[test]
fn a_gateway_that_works_says_so() {
    let host = host(Effect::Complete);
    let status = status(&claim(vec![]), &Presence::Present, &host, None, &at(1));
    assert_eq!(status.observed_generation, Some(4));
    assert_eq!(status.host_name.as_deref(), Some("gw1"));
    assert_eq!(status.ssh_endpoint.as_deref(), Some("192.0.2.1:2022"));
    assert_eq!(status.host_key.as_deref(), Some("ssh-ed25519 AAAA"));
    assert_eq!(status.allowed_namespaces, Some(vec!["shop".to_owned()]));
    let (holds, reason, _) = said(&status, GatewayCondition::AddressAssigned);
    assert_eq!((holds, reason), ("True", "Assigned"));
    let (holds, reason, _) = said(&status, GatewayCondition::Programmed);
    assert_eq!((holds, reason), ("True", "Programmed"));
}

#[test]
fn a_missing_address_is_named_with_the_next_step() {
    let host = host(Effect::Complete);
    let missing = status(&claim(vec![]), &Presence::Missing, &host, None, &at(1));
    let (holds, reason, message) = said(&missing, GatewayCondition::AddressAssigned);
    assert_eq!((holds, reason), ("False", "AddressMissing"));
    assert!(message.starts_with("192.0.2.10 is on no interface of host gw1: assign it there"));
    let failed = Presence::AssignFailed("there is no interface eth9".into());
    let failed = status(&claim(vec![]), &failed, &host, None, &at(1));
    let (holds, reason, message) = said(&failed, GatewayCondition::AddressAssigned);
    assert_eq!((holds, reason), ("False", "AssignFailed"));
    assert!(message.contains("eth9"));
}

#[test]
fn what_is_left_out_is_named_and_long_lists_are_cut() {
    let refusals = (1..=5)
        .map(|n| Refusal::NotAllowed(format!("target {n}")))
        .collect();
    let host = host(Effect::Complete);
    let status = status(&claim(refusals), &Presence::Present, &host, None, &at(1));
    assert_eq!(
        said(&status, GatewayCondition::Programmed),
        (
            "False",
            "NotAllowed",
            "host gw1 leaves out: target 1; target 2; target 3; and 2 more; change the \
             ExternalService, or what the host file there allows"
        )
    );
    assert_eq!(status.observed_generation, Some(4));
    let refused = status.refused_forwarders.iter();
    let refused: Vec<_> = refused
        .map(|r| format!("{}: {}", r.name, r.message))
        .collect();
    assert_eq!(
        refused,
        [
            "bank: target 1; target 3; target 5",
            "crm: target 2; target 4"
        ]
    );
}

#[test]
fn a_generation_that_is_not_in_effect_is_not_observed() {
    let previous = GatewayStatus {
        observed_generation: Some(3),
        ..GatewayStatus::default()
    };
    for (effect, expect) in [
        (Effect::Failed("iptables said no".into()), "ApplyFailed"),
        (
            Effect::NotListening("listen on 0.0.0.0:2022 for ssh: in use".into()),
            "NotListening",
        ),
    ] {
        let claim = claim(vec![Refusal::NotAllowed("target 1".into())]);
        let status = status(
            &claim,
            &Presence::Present,
            &host(effect),
            Some(&previous),
            &at(1),
        );
        assert_eq!(status.observed_generation, Some(3));
        assert_eq!(status.refused_forwarders, []);
        let (holds, reason, _) = said(&status, GatewayCondition::Programmed);
        assert_eq!((holds, reason), ("False", expect));
    }
}

#[test]
fn a_clock_that_is_off_is_named_with_its_error_and_direction() {
    let check = |ahead: Option<i64>, expect: (&str, &str), words: &str| {
        let host = HostFacts {
            clock_ahead: ahead,
            ..host(Effect::Complete)
        };
        let status = status(&claim(vec![]), &Presence::Present, &host, None, &at(1));
        let (holds, reason, message) = said(&status, GatewayCondition::ClockInSync);
        assert_eq!((holds, reason), expect);
        assert!(message.contains(words), "{message}");
    };
    check(None, ("Unknown", "NotCompared"), "extconn-gateway-gw1");
    check(Some(30), ("True", "InSync"), "agrees");
    check(Some(-30), ("True", "InSync"), "agrees");
    check(Some(3600), ("False", "ClockOff"), "gw1 is 3600 s ahead of");
    check(Some(-31), ("False", "ClockOff"), "31 s behind");
}

#[test]
fn an_unchanged_condition_keeps_its_time() {
    let host = host(Effect::Complete);
    let claim = claim(vec![]);
    let first = status(&claim, &Presence::Present, &host, None, &at(1));
    let second = status(&claim, &Presence::Present, &host, Some(&first), &at(2));
    assert_eq!(first, second);
    let third = status(&claim, &Presence::Missing, &host, Some(&second), &at(3));
    let time = |type_| {
        find(&third.conditions, type_)
            .unwrap()
            .last_transition_time
            .clone()
    };
    assert_eq!(time(GatewayCondition::AddressAssigned), at(3));
    assert_eq!(time(GatewayCondition::Programmed), at(1));
}

#[test]
fn the_host_that_has_the_address_speaks_for_it() {
    let said_by = |name: &str| GatewayStatus {
        host_name: Some(name.into()),
        ..GatewayStatus::default()
    };
    let check = |presence: &Presence, heard: Option<GatewayStatus>, expect: bool| {
        assert_eq!(
            speaks_for("gw1", presence, heard.as_ref()),
            expect,
            "{presence:?} {heard:?}"
        );
    };
    check(&Presence::Missing, None, true);
    check(&Presence::Missing, Some(said_by("gw1")), true);
    check(&Presence::Missing, Some(said_by("gw2")), false);
    check(&Presence::Present, Some(said_by("gw2")), true);
}
