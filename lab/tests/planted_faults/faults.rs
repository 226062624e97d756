//! The faults: how each is planted, how it heals, and what has to be said of it.

use anyhow::{Context, Result, ensure};
use extconn_lab::host;
use extconn_lab::topology::{EXTERNAL_PORT, Host, SOURCE_IPS};
use extconn_lab::walkthrough::scenario::CONNECTOR_NAMESPACE;
use extconn_lab::walkthrough::{ask, workload};

use crate::path::{Path, until};

/// A fault that can be planted and healed.
pub struct Fault {
    /// A sentence about what `test` does with it.
    pub name: &'static str,
    /// Breaks it, and waits until those who report have seen it.
    plant: fn(&Path) -> Result<()>,
    /// Mends it, whatever has been broken.
    heal: fn(&Path) -> Result<()>,
    /// Arguments of `test`.
    arguments: &'static [&'static str],
    /// The hop that is broken: the first that fails.
    hop: &'static str,
    /// Hops that the fault breaks with it.
    also: &'static [&'static str],
    /// Words of the message or of the next step.
    words: &'static [&'static str],
}

impl Fault {
    /// Plants it, tests, heals it, and judges what was said.
    pub fn find(&self, path: &Path) -> Result<()> {
        let tested = (self.plant)(path)
            .with_context(|| format!("plant: {}", self.name))
            .and_then(|()| path.test(self.arguments));
        (self.heal)(path).with_context(|| format!("heal: {}", self.name))?;
        path.await_well()
            .with_context(|| format!("after: {}", self.name))?;
        let (success, report) = tested?;
        ensure!(!success && !report.success, "it was called proven");
        let failed = report.with("failed");
        let first = failed.first().context("no hop failed")?;
        ensure!(first.name == self.hop, "not {} but {first:#?}", self.hop);
        for hop in &failed {
            ensure!(
                hop.name == self.hop || self.also.contains(&hop.name.as_str()),
                "{} is not broken: {hop:#?}",
                hop.name
            );
        }
        let said = format!("{} {}", first.message, first.next);
        for words in self.words {
            ensure!(said.contains(words), "{words:?} is not in {said:?}");
        }
        ensure!(!first.next.is_empty(), "no next step: {first:?}");
        Ok(())
    }
}

/// All of them.
pub const FAULTS: [Fault; 15] = [
    Fault {
        name: "a_service_without_pods_is_found_at_the_service",
        plant: |path| {
            let source = &path.scenario.sources[0];
            workload::remove_pod(source, &source.pod)
        },
        heal: |path| {
            let source = &path.scenario.sources[0];
            workload::add_pod(source, &source.pod, source.node)
        },
        arguments: &[],
        hop: "service",
        also: &[],
        words: &["no pod is behind Service", "selector"],
    },
    Fault {
        // The operator would scale it up again at once, so it is stopped as well, and found too.
        name: "a_forwarder_scaled_to_zero_is_found_at_the_forwarder",
        plant: |path| {
            scale("deployment/extconn-operator", 0)?;
            scale(&path.deployment(), 0)
        },
        heal: |path| scale("deployment/extconn-operator", path.operators),
        arguments: &[],
        hop: "operator",
        also: &["forwarder"],
        words: &["no replica of the operator"],
    },
    Fault {
        name: "a_stopped_operator_is_found_at_the_operator",
        plant: |_| scale("deployment/extconn-operator", 0),
        heal: |path| scale("deployment/extconn-operator", path.operators),
        arguments: &[],
        hop: "operator",
        also: &[],
        words: &["no replica of the operator", "check"],
    },
    Fault {
        name: "a_stopped_gateway_is_found_at_the_gateway",
        // Asked at once, before anybody has reported it.
        plant: |_| on_gateway("systemctl stop extconn-gateway"),
        heal: |_| on_gateway("systemctl start extconn-gateway"),
        arguments: &[],
        hop: "gateway",
        also: &["tunnel", "object"],
        words: &["are refused", "systemctl start extconn-gateway"],
    },
    Fault {
        name: "a_source_ip_that_left_its_host_is_found_at_the_source_ip",
        plant: |_| {
            on_gateway(&format!(
                "ip address del {}/24 dev {INTERFACE}",
                SOURCE_IPS[0]
            ))
        },
        heal: |_| {
            on_gateway(&format!(
                "ip address add {}/24 dev {INTERFACE}",
                SOURCE_IPS[0]
            ))
        },
        arguments: &[],
        hop: "source-ip",
        also: &["object", "nat-rule"],
        words: &["192.168.122.200", "init"],
    },
    Fault {
        name: "a_closed_port_of_the_target_is_found_at_the_target",
        plant: |_| host::stop_unit(Host::External, "server"),
        heal: |_| host::resume_unit(Host::External, "server"),
        arguments: &[],
        hop: "target",
        also: &[],
        words: &[
            "refuses connections from 192.168.122.200",
            "start the server",
        ],
    },
    Fault {
        name: "a_target_that_drops_is_found_at_the_target",
        plant: |_| on_external("-I", &["-j", "DROP"]),
        heal: |_| on_external("-D", &["-j", "DROP"]),
        arguments: &[],
        hop: "target",
        also: &[],
        words: &["does not answer 192.168.122.200", "firewall"],
    },
    Fault {
        name: "a_target_that_lets_only_another_source_ip_in_is_told_apart",
        plant: |_| on_external("-I", &["-s", "192.168.122.200", "-j", "DROP"]),
        heal: |_| on_external("-D", &["-s", "192.168.122.200", "-j", "DROP"]),
        arguments: &[],
        hop: "target",
        also: &[],
        words: &[
            "does not answer 192.168.122.200",
            "lets 192.168.122.201 in: allow 192.168.122.200",
        ],
    },
    Fault {
        // As the firewalls of many servers do, in words that a missing route has too.
        name: "a_target_that_rejects_one_source_ip_is_told_apart_from_a_missing_route",
        plant: |_| on_external("-I", &REJECTS_ONE),
        heal: |_| on_external("-D", &REJECTS_ONE),
        arguments: &[],
        hop: "target",
        also: &[],
        words: &[
            "cannot be reached from 192.168.122.200",
            "lets 192.168.122.201 in: allow 192.168.122.200",
        ],
    },
    Fault {
        name: "a_way_to_the_gateway_that_drops_is_found_at_the_tunnel",
        plant: |_| on_gateway("iptables -I INPUT -p tcp --dport 2022 -j DROP"),
        heal: |_| on_gateway("iptables -D INPUT -p tcp --dport 2022 -j DROP"),
        arguments: &[],
        hop: "tunnel",
        also: &["object"],
        words: &["open TCP from the cluster's nodes to 192.168.122.10:2022"],
    },
    Fault {
        // The gateway repairs flushed rules within seconds. It is frozen, so that the flush stays
        // to be seen; a frozen gateway may also cost its tunnels.
        name: "flushed_nat_rules_are_found_at_the_nat_rule",
        plant: |_| {
            on_gateway(
                "systemctl kill --signal=STOP extconn-gateway && iptables -t nat -F EXTCONN-192.168.122.200",
            )
        },
        heal: |_| {
            on_gateway("systemctl kill --signal=CONT extconn-gateway")?;
            until("the rules to be repaired", || {
                let rules = ask::host(
                    Host::Gateway,
                    &["iptables", "-t", "nat", "-S", "EXTCONN-192.168.122.200"],
                )?;
                Ok(rules.stdout.contains("DNAT"))
            })
        },
        arguments: &["--direction", "ingress"],
        hop: "nat-rule",
        also: &["tunnel"],
        words: &["no nat rule that leads 192.168.122.139 from 192.168.122.200:80"],
    },
    Fault {
        name: "a_foreign_rule_in_front_is_found_at_the_nat_rule",
        plant: |_| {
            on_gateway(
                "systemctl kill --signal=STOP extconn-gateway && iptables -t nat -I PREROUTING -d 192.168.122.200 -p tcp -j ACCEPT",
            )
        },
        heal: |_| {
            on_gateway(
                "iptables -t nat -D PREROUTING -d 192.168.122.200 -p tcp -j ACCEPT; systemctl kill --signal=CONT extconn-gateway",
            )
        },
        arguments: &["--direction", "ingress"],
        hop: "nat-rule",
        also: &["tunnel"],
        words: &["another rule", "-j ACCEPT"],
    },
    Fault {
        // The lab's CNI knows no NetworkPolicy; this is what one does to packets.
        name: "a_policy_between_pod_and_forwarder_is_found_there",
        plant: |_| on_nodes("-I"),
        heal: |_| on_nodes("-D"),
        arguments: &[],
        hop: "pod-to-forwarder",
        also: &[],
        words: &["a pod cannot connect", "networkpolicies"],
    },
    Fault {
        name: "broken_dns_is_found_at_the_dns",
        plant: |_| scale_in("kube-system", "deployment/coredns", 0),
        heal: |_| {
            scale_in("kube-system", "deployment/coredns", 1)?;
            let rollout = [
                "rollout",
                "status",
                "--timeout=60s",
                "-n",
                "kube-system",
                "deployment/coredns",
            ];
            ask::cluster_ok(&rollout, "").map(drop)
        },
        arguments: &[],
        hop: "dns",
        also: &[],
        words: &["cannot be looked up from a pod", "kube-dns"],
    },
    Fault {
        name: "someone_else_in_the_gateways_place_is_found_by_the_host_key",
        plant: |path| {
            on_gateway(
                "systemctl stop extconn-gateway && systemd-run --quiet --unit=impostor \
                 /usr/sbin/sshd -D -e -p 2022 -h /etc/ssh/ssh_host_ed25519_key -o PidFile=none",
            )?;
            until("refused host keys", || {
                Ok(every_tunnel_says(&path.tunnels()?, "key"))
            })
        },
        heal: |_| on_gateway("systemctl stop impostor; systemctl start extconn-gateway"),
        arguments: &[],
        hop: "tunnel",
        also: &["object"],
        words: &["host key", "someone else may answer"],
    },
];

/// A rule that rejects one source IP with an ICMP message.
const REJECTS_ONE: [&str; 6] = [
    "-s",
    "192.168.122.200",
    "-j",
    "REJECT",
    "--reject-with",
    "icmp-host-prohibited",
];

/// The gateway host's interface on the external server's network.
const INTERFACE: &str = "eth0";

fn every_tunnel_says(tunnels: &str, word: &str) -> bool {
    !tunnels.is_empty()
        && tunnels
            .lines()
            .all(|line| line.starts_with("Down") && line.contains(word))
}

fn on_gateway(line: &str) -> Result<()> {
    done(Host::Gateway, &["sh", "-c", line])
}

/// Adds or deletes a rule at the external server's port.
fn on_external(what: &str, rule: &[&str]) -> Result<()> {
    let port = EXTERNAL_PORT.to_string();
    let chain = [
        "iptables", "-w", what, "INPUT", "-p", "tcp", "--dport", &port,
    ];
    done(Host::External, &[chain.as_slice(), rule].concat())
}

/// Adds or deletes a rule on both nodes that drops what pods send to the forwarder's port.
fn on_nodes(what: &str) -> Result<()> {
    let port = EXTERNAL_PORT.to_string();
    for node in Host::NODES {
        let rule = [
            "iptables",
            "-w",
            "-t",
            "raw",
            what,
            "PREROUTING",
            "-s",
            "10.244.0.0/16",
            "-p",
            "tcp",
            "--dport",
            &port,
            "-j",
            "DROP",
        ];
        done(node, &rule)?;
    }
    Ok(())
}

fn scale(deployment: &str, replicas: u32) -> Result<()> {
    scale_in(CONNECTOR_NAMESPACE, deployment, replicas)
}

/// Scales; to none, and waits until none is there.
fn scale_in(namespace: &str, deployment: &str, replicas: u32) -> Result<()> {
    let wanted = format!("--replicas={replicas}");
    ask::cluster_ok(&["scale", "-n", namespace, deployment, &wanted], "")?;
    let there = [
        "get",
        "-n",
        namespace,
        deployment,
        "-o=jsonpath={.status.replicas}",
    ];
    until("the last pod to go", || {
        // The field goes away with the last one.
        Ok(replicas > 0 || ["", "0"].contains(&ask::cluster_ok(&there, "")?.trim()))
    })
}

fn done(on: Host, argv: &[&str]) -> Result<()> {
    let said = ask::host(on, argv)?;
    ensure!(
        said.success,
        "{}: {}{}",
        argv.join(" "),
        said.stdout.trim(),
        said.stderr.trim()
    );
    Ok(())
}
