//! Pure: what there is to remove, and in which order.

use crate::cluster::gateway_hosts::GatewayHost;

/// What the user wants gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// One gateway host, by its ssh destination.
    OneHost(String),
    /// extconn.
    Everything {
        /// Also from the gateway hosts.
        hosts: bool,
        /// Also the CRDs, with every ExternalService.
        crds: bool,
    },
}

/// What is there.
#[derive(Clone, Debug)]
pub(crate) struct Situation<'a> {
    /// Gateway hosts that `init` wrote down.
    pub known: &'a [GatewayHost],
    /// Whether there is a helm release.
    pub has_release: bool,
    /// CRDs of ours that are there.
    pub crds: &'a [String],
    /// What the user wants gone.
    pub scope: &'a Scope,
}

/// Something to remove. The order of a plan is the order of doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Planned {
    /// A gateway, and what the cluster knows of its host.
    Gateway(GatewayHost),
    /// The helm release: operator, forwarders, namespace.
    Release,
    /// The CRDs of these names.
    Crds(Vec<String>),
}

/// What there is to remove. Hosts come first: the notes on them go with the release, and an
/// interrupted run must find them again.
pub(crate) fn plan(situation: &Situation<'_>) -> Vec<Planned> {
    match situation.scope {
        Scope::OneHost(destination) => {
            let known = situation
                .known
                .iter()
                .find(|host| host.ssh == *destination)
                .cloned();
            vec![Planned::Gateway(
                known.unwrap_or_else(|| unknown_host(destination)),
            )]
        }
        Scope::Everything { hosts, crds } => {
            let mut steps = Vec::new();
            if *hosts {
                steps.extend(situation.known.iter().cloned().map(Planned::Gateway));
            }
            if situation.has_release {
                steps.push(Planned::Release);
            }
            if *crds && !situation.crds.is_empty() {
                steps.push(Planned::Crds(situation.crds.to_vec()));
            }
            steps
        }
    }
}

/// A host that was set up by other means.
fn unknown_host(destination: &str) -> GatewayHost {
    GatewayHost {
        name: destination
            .rsplit('@')
            .next()
            .unwrap_or(destination)
            .to_owned(),
        ssh: destination.to_owned(),
        ssh_endpoint: String::new(),
        source_ips: Vec::new(),
    }
}

/// The step as the user reads it.
pub(crate) fn described(step: &Planned, external_services: usize) -> String {
    match step {
        Planned::Gateway(host) => {
            format!(
                "remove the gateway from {}: service, nat rules, assigned source IPs, files, user",
                host.ssh
            )
        }
        Planned::Release => "remove operator and forwarders from the cluster with helm".to_owned(),
        Planned::Crds(names) => {
            let with = match external_services {
                0 => String::new(),
                1 => ", and with them 1 ExternalService".to_owned(),
                n => format!(", and with them {n} ExternalServices"),
            };
            format!("delete {} CustomResourceDefinitions{with}", names.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(ssh: &str) -> GatewayHost {
        GatewayHost {
            ssh_endpoint: "192.0.2.1:2022".into(),
            ..unknown_host(ssh)
        }
    }

    fn check(scope: Scope, has_release: bool, expect: &[Planned]) {
        let known = [host("root@gw1"), host("root@gw2")];
        let crds = ["a".to_owned()];
        assert_eq!(
            plan(&Situation {
                known: &known,
                has_release,
                crds: &crds,
                scope: &scope
            }),
            expect
        );
    }

    #[test]
    fn hosts_go_before_the_notes_on_them() {
        let hosts = [
            Planned::Gateway(host("root@gw1")),
            Planned::Gateway(host("root@gw2")),
        ];
        let [one, two] = hosts.clone();
        check(
            Scope::Everything {
                hosts: true,
                crds: false,
            },
            true,
            &[one, two, Planned::Release],
        );
        check(
            Scope::Everything {
                hosts: true,
                crds: false,
            },
            false,
            &hosts,
        );
    }

    #[test]
    fn crds_go_last_and_only_on_request() {
        let scope = Scope::Everything {
            hosts: false,
            crds: true,
        };
        check(
            scope,
            true,
            &[Planned::Release, Planned::Crds(vec!["a".into()])],
        );
    }

    #[test]
    fn one_host_leaves_the_cluster_alone() {
        check(
            Scope::OneHost("root@gw2".into()),
            true,
            &[Planned::Gateway(host("root@gw2"))],
        );
        let other = Planned::Gateway(unknown_host("me@gw3"));
        check(Scope::OneHost("me@gw3".into()), true, &[other]);
    }
}
