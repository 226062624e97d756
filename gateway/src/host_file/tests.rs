use super::*;

const SMALLEST: &str = "
sshEndpoint: 192.0.2.1:2022
sourceIPs:
  - ip: 192.0.2.10
";

const FULL: &str = "
connectorNamespace: connectors
kubeconfig: /etc/extconn/other
hostName: gw1
sshEndpoint: 198.51.100.1:22022
sshListen: 192.0.2.1:2022
httpListen: '[::1]:9999'
sourceIPs:
  - ip: 192.0.2.10
  - ip: 192.0.2.11
    assignTo: eth0
    namespaces: [shop, bank, shop]
targetNetworks:
  - 203.0.113.0/24
  - 198.51.100.7/32
";

#[test]
fn what_is_left_out_has_a_default() {
    let file: HostFile = SMALLEST.parse().unwrap();
    assert_eq!(
        file,
        HostFile {
            connector_namespace: "external-services".into(),
            kubeconfig: "/etc/extconn/kubeconfig".into(),
            host_name: None,
            ssh_endpoint: "192.0.2.1:2022".parse().unwrap(),
            ssh_listen: "0.0.0.0:2022".parse().unwrap(),
            http_listen: "127.0.0.1:9180".parse().unwrap(),
            source_ips: BTreeMap::from([(Ipv4Addr::new(192, 0, 2, 10), Assignment::Administrator)]),
            reserved: BTreeMap::new(),
            target_networks: None,
        }
    );
}

#[test]
fn everything_can_be_said() {
    let file: HostFile = FULL.parse().unwrap();
    assert_eq!(
        file,
        HostFile {
            connector_namespace: "connectors".into(),
            kubeconfig: "/etc/extconn/other".into(),
            host_name: Some("gw1".into()),
            ssh_endpoint: "198.51.100.1:22022".parse().unwrap(),
            ssh_listen: "192.0.2.1:2022".parse().unwrap(),
            http_listen: "[::1]:9999".parse().unwrap(),
            source_ips: BTreeMap::from([
                (Ipv4Addr::new(192, 0, 2, 10), Assignment::Administrator),
                (
                    Ipv4Addr::new(192, 0, 2, 11),
                    Assignment::Gateway("eth0".into())
                ),
            ]),
            reserved: BTreeMap::from([(
                Ipv4Addr::new(192, 0, 2, 11),
                vec!["bank".to_owned(), "shop".to_owned()]
            )]),
            target_networks: Some(vec![
                "203.0.113.0/24".parse().unwrap(),
                "198.51.100.7/32".parse().unwrap(),
            ]),
        }
    );
}

#[test]
fn the_example_is_a_host_file() {
    let example = include_str!("../../gateway.example.yaml");
    example.parse::<HostFile>().unwrap();
}

/// Each of these must be refused with a text that has all the fragments.
const REFUSED: &[(&str, &str, &[&str])] = &[
    ("empty file", "", &["the file is empty"]),
    ("only comments", "# sshEndpoint\n", &["the file is empty"]),
    ("a list", "- a\n", &[]),
    (
        "no endpoint",
        "sourceIPs: [{ip: 192.0.2.10}]\n",
        &["missing field", "sshEndpoint"],
    ),
    (
        "no source IPs",
        "sshEndpoint: 192.0.2.1:2022\n",
        &["missing field", "sourceIPs"],
    ),
    (
        "unknown field",
        "sshEndpoint: 192.0.2.1:2022\nsourceIps: []\n",
        &["line 2", "unknown field", "sourceIps", "sourceIPs"],
    ),
    (
        "unknown field of a source IP",
        "sshEndpoint: 192.0.2.1:2022\nsourceIPs:\n  - ip: 192.0.2.10\n    interface: eth0\n",
        &["line 4", "interface", "assignTo"],
    ),
    (
        "field twice",
        "sshEndpoint: 192.0.2.1:2022\nsshEndpoint: 192.0.2.1:2023\n",
        &["line 2", "duplicate", "sshEndpoint"],
    ),
    (
        "host name as endpoint",
        "sshEndpoint: gw.example:2022\n",
        &["line 1", "\"gw.example:2022\"", "192.0.2.1:2022"],
    ),
    (
        "endpoint without port",
        "sshEndpoint: 192.0.2.1\n",
        &["\"192.0.2.1\" is no IPv4 address and port"],
    ),
    (
        "endpoint that nobody reaches",
        "sshEndpoint: 127.0.0.1:2022\nsourceIPs: [{ip: 192.0.2.10}]\n",
        &["sshEndpoint: 127.0.0.1"],
    ),
    (
        "port 0",
        "sshEndpoint: 192.0.2.1:0\nsourceIPs: [{ip: 192.0.2.10}]\n",
        &["sshEndpoint: port 0"],
    ),
    (
        "port 65536",
        "sshEndpoint: 192.0.2.1:65536\n",
        &["\"192.0.2.1:65536\""],
    ),
    (
        "same port twice",
        "sshEndpoint: 192.0.2.1:2022\nhttpListen: 127.0.0.1:2022\nsourceIPs: [{ip: 192.0.2.10}]\n",
        &["httpListen: port 2022 is the ssh server's"],
    ),
    (
        "empty list",
        "sshEndpoint: 192.0.2.1:2022\nsourceIPs: []\n",
        &["sourceIPs: is empty"],
    ),
    (
        "impossible source IP",
        "sshEndpoint: 192.0.2.1:2022\nsourceIPs:\n  - ip: 256.1.1.1\n",
        &["line 3", "\"256.1.1.1\" is no IPv4 address"],
    ),
    (
        "octal source IP",
        "sshEndpoint: 192.0.2.1:2022\nsourceIPs: [{ip: 010.0.0.1}]\n",
        &["\"010.0.0.1\""],
    ),
    (
        "IPv6 source IP",
        "sshEndpoint: 192.0.2.1:2022\nsourceIPs: [{ip: '2001:db8::1'}]\n",
        &["\"2001:db8::1\""],
    ),
    (
        "multicast source IP",
        "sshEndpoint: 192.0.2.1:2022\nsourceIPs: [{ip: 224.0.0.1}]\n",
        &["sourceIPs: 224.0.0.1"],
    ),
    (
        "source IP twice",
        "sshEndpoint: 192.0.2.1:2022\nsourceIPs: [{ip: 192.0.2.10}, {ip: 192.0.2.10, assignTo: eth0}]\n",
        &["192.0.2.10 is listed twice"],
    ),
    (
        "interface name with a blank",
        "sshEndpoint: 192.0.2.1:2022\nsourceIPs: [{ip: 192.0.2.10, assignTo: 'eth0 up'}]\n",
        &["assignTo of 192.0.2.10", "\"eth0 up\""],
    ),
    (
        "interface name too long",
        "sshEndpoint: 192.0.2.1:2022\nsourceIPs: [{ip: 192.0.2.10, assignTo: abcdefghijklmnop}]\n",
        &["abcdefghijklmnop"],
    ),
    (
        "network with host bits",
        "sshEndpoint: 192.0.2.1:2022\nsourceIPs: [{ip: 192.0.2.10}]\ntargetNetworks: [203.0.113.7/24]\n",
        &["line 3", "203.0.113.7/24", "write 203.0.113.0/24"],
    ),
    (
        "network without length",
        "sshEndpoint: 192.0.2.1:2022\nsourceIPs: [{ip: 192.0.2.10}]\ntargetNetworks: [203.0.113.7]\n",
        &["\"203.0.113.7\" is no IPv4 network"],
    ),
    (
        "no network allowed",
        "sshEndpoint: 192.0.2.1:2022\nsourceIPs: [{ip: 192.0.2.10}]\ntargetNetworks: []\n",
        &["targetNetworks: is empty", "leave it out"],
    ),
    (
        "namespace in capitals",
        "connectorNamespace: External\nsshEndpoint: 192.0.2.1:2022\nsourceIPs: [{ip: 192.0.2.10}]\n",
        &["connectorNamespace: \"External\""],
    ),
    (
        "reserved for nobody",
        "sshEndpoint: 192.0.2.1:2022\nsourceIPs: [{ip: 192.0.2.10, namespaces: []}]\n",
        &["namespaces of 192.0.2.10: is empty", "leave it out"],
    ),
    (
        "reserved for no namespace",
        "sshEndpoint: 192.0.2.1:2022\nsourceIPs: [{ip: 192.0.2.10, namespaces: [shop, '*']}]\n",
        &["namespaces of 192.0.2.10: \"*\" is no name of a namespace"],
    ),
    (
        "relative path",
        "kubeconfig: kubeconfig\nsshEndpoint: 192.0.2.1:2022\nsourceIPs: [{ip: 192.0.2.10}]\n",
        &["kubeconfig: \"kubeconfig\" must begin with /"],
    ),
    ("broken YAML", "sshEndpoint: [192.0.2.1:2022\n", &["line"]),
];

#[test]
fn what_makes_no_sense_is_refused_by_line_and_name() {
    for (case, text, fragments) in REFUSED {
        let error = text.parse::<HostFile>().expect_err(case).to_string();
        assert_eq!(error.lines().count(), 1, "{case}: {error:?}");
        for fragment in *fragments {
            assert!(
                error.contains(fragment),
                "{case}: {fragment:?} is not in {error:?}"
            );
        }
    }
}
