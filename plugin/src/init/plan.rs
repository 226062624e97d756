//! Pure: what there is to do, from what is there and what is wanted.

use crate::cluster::gateway_hosts::GatewayHost;
use crate::helm::release::{Recovery, Release};
use crate::host::facts::HostFacts;
use crate::init::host_files::KUBECONFIG;

/// What is there.
#[derive(Clone, Debug)]
pub(crate) struct Situation<'a> {
    /// The helm release.
    pub release: Option<&'a Release>,
    /// Whether its objects are those of this chart with the wanted values.
    pub chart_is_current: bool,
    /// Whether the gateways' ServiceAccount is as it was when they got their tokens.
    pub has_account: bool,
    /// What was found on the gateway host; `None` if none is wanted.
    pub host: Option<HostSituation<'a>>,
}

/// What is there on the gateway host.
#[derive(Clone, Debug)]
pub(crate) struct HostSituation<'a> {
    /// The host as it is to be remembered.
    pub wanted: &'a GatewayHost,
    /// The host as it is remembered.
    pub remembered: Option<&'a GatewayHost>,
    /// What was found there.
    pub facts: &'a HostFacts,
    /// Files that are missing or differ.
    pub differing: &'a [&'static str],
    /// Whether the gateway there says that it is ready.
    pub is_ready: bool,
}

/// Something to do. The order of a plan is the order of doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Clear away what an interrupted helm left.
    RecoverRelease(String),
    /// Install the chart.
    InstallChart,
    /// Upgrade the release to this chart and these values.
    UpgradeChart,
    /// Write down the gateway host, before it is touched: `uninstall` must find it.
    RememberHost,
    /// Copy what differs to the gateway host, and (re)start the gateway.
    InstallGateway {
        /// What differs.
        files: Vec<String>,
        /// Whether it gets a new token.
        token: TokenNeed,
    },
}

/// Whether a gateway needs a token that it cannot renew by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenNeed {
    /// It keeps the one that it has.
    Keep,
    /// It has none, or it does not get along with the one that it has.
    New,
}

/// What there is to do; empty if all is as wanted.
pub(crate) fn plan(situation: &Situation<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    match situation.release {
        None => steps.push(Step::InstallChart),
        Some(release) => {
            let recovery = release.recovery();
            if recovery != Recovery::None {
                steps.push(Step::RecoverRelease(release.status.clone()));
            }
            if recovery == Recovery::Uninstall {
                steps.push(Step::InstallChart);
            } else if !situation.chart_is_current || release.status != "deployed" {
                steps.push(Step::UpgradeChart);
            }
        }
    }
    if let Some(host) = &situation.host {
        if host.remembered != Some(host.wanted) {
            steps.push(Step::RememberHost);
        }
        // A ServiceAccount that is made anew, or is another cluster's, makes a token of the one before
        // worthless, though the gateway, with its last good configuration, calls itself ready.
        let account_stays = !steps.contains(&Step::InstallChart)
            && situation.has_account
            && !host.differing.contains(&KUBECONFIG);
        let token = if host.facts.has_token && host.is_ready && account_stays {
            TokenNeed::Keep
        } else {
            TokenNeed::New
        };
        if !host.differing.is_empty() || host.facts.restart_owed || token == TokenNeed::New {
            let files = host
                .differing
                .iter()
                .map(|file| (*file).to_owned())
                .collect();
            steps.push(Step::InstallGateway { files, token });
        }
    }
    steps
}

/// The step as the user reads it.
pub(crate) fn described(step: &Step, host: Option<&GatewayHost>) -> String {
    let host = host
        .map(|host| format!("{} ({})", host.name, host.ssh))
        .unwrap_or_default();
    match step {
        Step::RecoverRelease(status) => {
            format!("clear away the helm release that was left {status}")
        }
        Step::InstallChart => "install extconn in the cluster with helm".to_owned(),
        Step::UpgradeChart => "bring extconn in the cluster up to date with helm".to_owned(),
        Step::RememberHost => format!("write down gateway host {host} in the cluster"),
        Step::InstallGateway { files, token } => {
            let mut parts = files.clone();
            if *token == TokenNeed::New {
                parts.push("a token for 24 h, which the gateway renews".to_owned());
            }
            if parts.is_empty() {
                parts.push("the restart that an earlier run still owes".to_owned());
            }
            format!("install on {host}: {}", parts.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> GatewayHost {
        GatewayHost {
            name: "gw1".into(),
            ssh: "root@gw1".into(),
            ssh_endpoint: "192.0.2.1:2022".into(),
            source_ips: vec!["192.0.2.10".parse().unwrap()],
        }
    }

    fn check(
        release: Option<(&str, u64)>,
        current: bool,
        host: Option<HostSituation<'_>>,
        expect: &[Step],
    ) {
        let release = release.map(|(status, revision)| Release {
            status: status.into(),
            revision,
        });
        let steps = plan(&Situation {
            release: release.as_ref(),
            chart_is_current: current,
            has_account: true,
            host,
        });
        assert_eq!(steps, expect);
    }

    #[test]
    fn a_bare_cluster_and_a_bare_host_get_everything() {
        let (wanted, facts) = (host(), HostFacts::default());
        let bare = HostSituation {
            wanted: &wanted,
            remembered: None,
            facts: &facts,
            differing: &["/a"],
            is_ready: false,
        };
        let install = Step::InstallGateway {
            files: vec!["/a".into()],
            token: TokenNeed::New,
        };
        check(
            None,
            false,
            Some(bare),
            &[Step::InstallChart, Step::RememberHost, install],
        );
    }

    #[test]
    fn a_second_run_changes_nothing() {
        let (wanted, facts) = (
            host(),
            HostFacts {
                has_token: true,
                ..HostFacts::default()
            },
        );
        let same = HostSituation {
            wanted: &wanted,
            remembered: Some(&wanted),
            facts: &facts,
            differing: &[],
            is_ready: true,
        };
        check(Some(("deployed", 1)), true, Some(same), &[]);
    }

    #[test]
    fn another_answer_changes_just_that() {
        let (wanted, facts) = (
            host(),
            HostFacts {
                has_token: true,
                ..HostFacts::default()
            },
        );
        let differs = HostSituation {
            wanted: &wanted,
            remembered: Some(&wanted),
            facts: &facts,
            differing: &["/h"],
            is_ready: true,
        };
        let install = Step::InstallGateway {
            files: vec!["/h".into()],
            token: TokenNeed::Keep,
        };
        check(Some(("deployed", 1)), true, Some(differs), &[install]);
        check(Some(("deployed", 1)), false, None, &[Step::UpgradeChart]);
    }

    #[test]
    fn a_restart_that_is_owed_is_made_though_all_files_are_there() {
        let (wanted, facts) = (
            host(),
            HostFacts {
                has_token: true,
                restart_owed: true,
                ..HostFacts::default()
            },
        );
        let owing = HostSituation {
            wanted: &wanted,
            remembered: Some(&wanted),
            facts: &facts,
            differing: &[],
            is_ready: true,
        };
        let install = Step::InstallGateway {
            files: vec![],
            token: TokenNeed::Keep,
        };
        assert!(described(&install, None).contains("the restart"));
        check(Some(("deployed", 1)), true, Some(owing), &[install]);
    }

    #[test]
    fn a_gateway_that_is_not_ready_gets_a_new_token() {
        let (wanted, facts) = (
            host(),
            HostFacts {
                has_token: true,
                ..HostFacts::default()
            },
        );
        let stale = HostSituation {
            wanted: &wanted,
            remembered: Some(&wanted),
            facts: &facts,
            differing: &[],
            is_ready: false,
        };
        let install = Step::InstallGateway {
            files: vec![],
            token: TokenNeed::New,
        };
        check(Some(("deployed", 1)), true, Some(stale), &[install]);
    }

    #[test]
    fn a_gateway_that_outlived_the_installation_gets_a_new_token() {
        let (wanted, facts) = (
            host(),
            HostFacts {
                has_token: true,
                ..HostFacts::default()
            },
        );
        let outlived = HostSituation {
            wanted: &wanted,
            remembered: None,
            facts: &facts,
            differing: &[],
            is_ready: true,
        };
        let install = Step::InstallGateway {
            files: vec![],
            token: TokenNeed::New,
        };
        check(
            None,
            false,
            Some(outlived),
            &[Step::InstallChart, Step::RememberHost, install],
        );
    }

    #[test]
    fn a_gateway_that_is_to_serve_another_cluster_gets_a_new_token() {
        let (wanted, facts) = (
            host(),
            HostFacts {
                has_token: true,
                ..HostFacts::default()
            },
        );
        let taken_over = HostSituation {
            wanted: &wanted,
            remembered: Some(&wanted),
            facts: &facts,
            differing: &[KUBECONFIG],
            is_ready: true,
        };
        let install = Step::InstallGateway {
            files: vec![KUBECONFIG.into()],
            token: TokenNeed::New,
        };
        check(Some(("deployed", 1)), true, Some(taken_over), &[install]);
    }

    #[test]
    fn what_an_interrupted_run_left_is_finished() {
        let recover = |status: &str| Step::RecoverRelease(status.into());
        check(
            Some(("pending-install", 1)),
            false,
            None,
            &[recover("pending-install"), Step::InstallChart],
        );
        check(
            Some(("pending-upgrade", 2)),
            true,
            None,
            &[recover("pending-upgrade"), Step::UpgradeChart],
        );
        check(Some(("failed", 1)), true, None, &[Step::UpgradeChart]);
    }
}
