use super::*;
use crate::prompt::scripted::Scripted;

fn facts() -> HostFacts {
    HostFacts {
        addresses: [
            (Ipv4Addr::LOCALHOST, "lo".to_owned()),
            (Ipv4Addr::new(192, 0, 2, 1), "eth0".to_owned()),
            (Ipv4Addr::new(192, 0, 2, 10), "eth0".to_owned()),
        ]
        .into(),
        ..HostFacts::default()
    }
}

#[test]
fn only_an_address_that_is_not_there_asks_who_assigns_it() {
    let prompter = Scripted::new(&["192.0.2.10, 192.0.2.11", "the gateway, to eth0", ""]);
    let file = host_file(
        &InitArgs::default(),
        "external-services",
        &facts(),
        None,
        Some("192.0.2.1"),
        &prompter,
    )
    .unwrap();
    prompter.finish();
    assert_eq!(file.ssh_endpoint.to_string(), "192.0.2.1:2022");
    assert_eq!(file.source_ips[0].assign_to, None);
    assert_eq!(file.source_ips[1].assign_to.as_deref(), Some("eth0"));
}

#[test]
fn what_is_on_the_host_is_offered_again() {
    let present = HostFile::parse("{sshEndpoint: '192.0.2.1:2222', sourceIPs: [{ip: 192.0.2.11, assignTo: eth0, namespaces: [bank]}], targetNetworks: [203.0.113.0/24]}").unwrap();
    let prompter = Scripted::new(&[""]);
    let file = host_file(
        &InitArgs::default(),
        "external-services",
        &facts(),
        Some(present.clone()),
        Some("192.0.2.1"),
        &prompter,
    )
    .unwrap();
    assert_eq!(file, present);
}

#[test]
fn flags_ask_nothing_and_win_over_what_is_on_the_host() {
    let present =
        HostFile::parse("{sshEndpoint: '192.0.2.1:2222', sourceIPs: [{ip: 192.0.2.11}]}").unwrap();
    let args = InitArgs {
        source_ips: vec![source_ip("192.0.2.12=eth0").unwrap()],
        ssh_endpoint: Some("192.0.2.1:2022".parse().unwrap()),
        ..InitArgs::default()
    };
    let file = host_file(
        &args,
        "external-services",
        &facts(),
        Some(present),
        None,
        &Scripted::new(&[]),
    )
    .unwrap();
    assert_eq!(file.source_ips, args.source_ips);
    assert_eq!(file.ssh_endpoint.port(), 2022);
}

#[test]
fn a_flag_without_an_interface_leaves_an_address_to_the_gateway_that_assigns_it() {
    let present = "{sshEndpoint: '192.0.2.1:2222', sourceIPs: [{ip: 192.0.2.12, assignTo: eth0}]}";
    let source_ips = ["192.0.2.12", "192.0.2.13"].map(|ip| source_ip(ip).unwrap());
    let kept = as_before(source_ips.into(), HostFile::parse(present).ok().as_ref());
    assert_eq!(kept[0].assign_to.as_deref(), Some("eth0"));
    assert_eq!(kept[1].assign_to, None);
}

#[test]
fn networks_and_addresses_are_checked_before_they_get_to_the_host() {
    assert!(network("203.0.113.0/24").is_ok() && network("0.0.0.0/0").is_ok());
    for wrong in [
        "203.0.113.0",
        "203.0.113.0/33",
        "foo",
        "203.0.113/24",
        "/24",
    ] {
        assert!(
            network(wrong).unwrap_err().contains("no network"),
            "{wrong}"
        );
    }
    assert!(
        network("203.0.113.7/24")
            .unwrap_err()
            .contains("203.0.113.0/24")
    );
    let twice = addresses("192.0.2.1, 192.0.2.2,192.0.2.1").unwrap_err();
    assert!(twice.contains("192.0.2.1 is there twice"), "{twice}");
}

#[test]
fn flags_do_not_open_a_source_ip_that_is_reserved() {
    let present =
        "{sshEndpoint: '192.0.2.1:2222', sourceIPs: [{ip: 192.0.2.12, namespaces: [bank]}]}";
    let args = InitArgs {
        source_ips: ["192.0.2.11=eth0", "192.0.2.12=eth0"]
            .map(|ip| source_ip(ip).unwrap())
            .into(),
        ..InitArgs::default()
    };
    let present = Some(HostFile::parse(present).unwrap());
    let prompter = Scripted::new(&[]);
    let file = host_file(
        &args,
        "external-services",
        &facts(),
        present,
        None,
        &prompter,
    )
    .unwrap();
    assert_eq!(file.source_ips[0], args.source_ips[0]);
    assert_eq!(file.source_ips[1].assign_to.as_deref(), Some("eth0"));
    assert_eq!(file.source_ips[1].namespaces, Some(vec!["bank".to_owned()]));
}

#[test]
fn an_api_server_that_only_this_machine_reaches_is_not_offered() {
    let prompter = Scripted::new(&["https://192.0.2.100:6443"]);
    let server = api_server(
        &InitArgs::default(),
        "https://127.0.0.1:6443",
        None,
        &prompter,
    )
    .unwrap();
    assert_eq!(server, "https://192.0.2.100:6443");
    let prompter = Scripted::new(&[""]);
    assert_eq!(
        api_server(
            &InitArgs::default(),
            "https://192.0.2.5:6443",
            None,
            &prompter
        )
        .unwrap(),
        "https://192.0.2.5:6443"
    );
}

#[test]
fn addresses_of_servers_split_into_host_and_port() {
    for (server, host, port) in [
        ("https://192.0.2.100:6443", "192.0.2.100", 6443),
        ("https://api.example", "api.example", 443),
        ("https://[2001:db8::1]:6443", "2001:db8::1", 6443),
    ] {
        assert_eq!(host_and_port(server), (host.to_owned(), port));
    }
}

#[test]
fn nonsense_is_refused_with_an_example() {
    assert!(destination("-oProxyCommand=x").is_err());
    assert!(endpoint("192.0.2.1").is_ok());
    for text in ["0.0.0.0:2022", "192.0.2.1:0", "gw:2022", "127.0.0.1:2022"] {
        assert!(endpoint(text).is_err(), "{text}");
    }
    for text in ["192.0.2.10=", "192.0.2.10=a b", "x=eth0"] {
        assert!(source_ip(text).is_err(), "{text}");
    }
    for text in ["http://x", "192.0.2.1:6443", "https://", "https://x/y"] {
        assert!(server(text).is_err(), "{text}");
    }
}
