use super::*;

const IP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);

fn healthy() -> HostFacts {
    HostFacts {
        os: "Linux".into(),
        architecture: "x86_64".into(),
        hostname: "gw1".into(),
        clock: 1_000_000,
        systemd: Some("running".into()),
        iptables: Some("iptables v1.8.9 (nf_tables)".into()),
        iptables_nat: "-P PREROUTING ACCEPT".into(),
        free_kib: [("/usr/local/bin".to_owned(), 1 << 20)].into(),
        addresses: [(IP, "eth0".to_owned())].into(),
        api_reachable: Some(true),
        ..HostFacts::default()
    }
}

fn wanted(interface: Option<&str>) -> Wanted {
    Wanted {
        ssh_port: 2022,
        source_ips: vec![(IP, interface.map(str::to_owned))],
        api_server: "192.0.2.100:6443".into(),
        cluster_clock: 1_000_005,
        copies: Some(Copies {
            staged_kib: 1024,
            program_kib: 1024,
        }),
    }
}

/// Everything is good but one look, which says these words.
fn check(spoil: impl FnOnce(&mut HostFacts), interface: Option<&str>, mood: Mood, words: &str) {
    let mut facts = healthy();
    spoil(&mut facts);
    let items = judge(&facts, &wanted(interface));
    let not_good: Vec<_> = items
        .iter()
        .filter(|item| item.mood != Mood::Good)
        .collect();
    assert_eq!(not_good.len(), 1, "{not_good:#?}");
    assert_eq!(not_good[0].mood, mood);
    assert!(
        not_good[0].text.contains(words),
        "{:?} lacks {words:?}",
        not_good[0].text
    );
    assert!(
        !not_good[0].next.is_empty(),
        "{:?} has no next step",
        not_good[0]
    );
}

#[test]
fn a_healthy_host_passes() {
    let items = judge(&healthy(), &wanted(None));
    assert!(
        items.iter().all(|item| item.mood == Mood::Good),
        "{items:#?}"
    );
}

#[test]
fn each_fault_is_told_alone() {
    let bad = |spoil: fn(&mut HostFacts), words| check(spoil, None, Mood::Bad, words);
    bad(|f| f.os = "FreeBSD".into(), "FreeBSD");
    bad(|f| f.architecture = "riscv64".into(), "riscv64");
    bad(|f| f.systemd = None, "systemd");
    bad(|f| f.iptables = None, "iptables is missing");
    bad(
        |f| {
            f.iptables = None;
            f.nft = true;
        },
        "has nft and no iptables",
    );
    bad(
        |f| f.iptables_nat = "can't initialize iptables table `nat'".into(),
        "does not work",
    );
    bad(
        |f| f.port_taken_by = Some("sshd".into()),
        "port 2022 is taken by sshd",
    );
    bad(
        |f| f.port_taken_by = Some("unknown".into()),
        "another program",
    );
    bad(
        |f| f.addresses = [(Ipv4Addr::LOCALHOST, "lo".to_owned())].into(),
        "192.0.2.10 is not on the host",
    );
    bad(
        |f| {
            f.elsewhere.insert(IP, "aa:bb".into());
        },
        "another machine",
    );
    bad(|f| f.clock -= 3600, "3605 s behind");
    bad(|f| f.clock += 3600, "3595 s ahead");
    bad(|f| f.api_reachable = Some(false), "192.0.2.100:6443");
    bad(
        |f| {
            f.free_kib.insert("/var/lib".into(), 1023);
        },
        "/var/lib has 0 MiB",
    );
    bad(
        |f| f.http_taken = Some((9180, "nginx".into())),
        "port 9180, at which the gateway says how it is, is taken by nginx",
    );
    check(
        |f| f.api_reachable = None,
        None,
        Mood::Unsure,
        "could not be tried",
    );
}

#[test]
fn an_address_to_assign_needs_an_interface_that_is_there() {
    let elsewhere =
        |f: &mut HostFacts| f.addresses = [(Ipv4Addr::new(192, 0, 2, 1), "eth0".to_owned())].into();
    check(elsewhere, Some("eth9"), Mood::Bad, "no interface eth9");
    let mut facts = healthy();
    elsewhere(&mut facts);
    let items = judge(&facts, &wanted(Some("eth0")));
    assert!(
        items.iter().all(|item| item.mood == Mood::Good),
        "{items:#?}"
    );
    let unchecked = |f: &mut HostFacts| {
        f.addresses = [(Ipv4Addr::new(192, 0, 2, 1), "eth0".to_owned())].into();
        f.unchecked.insert(IP);
    };
    check(
        unchecked,
        Some("eth0"),
        Mood::Unsure,
        "could not be checked",
    );
}

#[test]
fn the_gateway_that_is_there_may_hold_the_port() {
    for (program, service) in [("extconn-gateway", "activating"), ("unknown", "active")] {
        let facts = HostFacts {
            port_taken_by: Some(program.into()),
            http_taken: (program == "unknown").then(|| (9180, program.into())),
            service: service.into(),
            ..healthy()
        };
        let items = judge(&facts, &wanted(None));
        assert!(
            items.iter().all(|item| item.mood == Mood::Good),
            "{items:#?}"
        );
    }
}
