//! The rules in the kernel, with both back ends of iptables.

use std::sync::Arc;

use extconn_dataplane::gateway::{BackEnd, Gateway, GatewayOptions, RulesState};
use extconn_dataplane::identity::PrivateKey;
use tokio::time::timeout;

use crate::host::Host;
use crate::world::{PATIENCE, gateway_config};

const BACK_ENDS: [(BackEnd, &str); 2] = [
    (BackEnd::Nft, "iptables-nft"),
    (BackEnd::Legacy, "iptables-legacy"),
];

/// A gateway host on which somebody else has rules too.
struct Ruled {
    host: Host,
    gateway: Arc<Gateway>,
    iptables: &'static str,
}

impl Ruled {
    async fn start(back_end: BackEnd, iptables: &'static str) -> Self {
        let host = Host::start("gateway");
        host.command(iptables, "-t nat -N DOCKER");
        host.command(iptables, "-t nat -A PREROUTING -p tcp -j DOCKER");
        host.command(iptables, "-A INPUT -p tcp --dport 9999 -j DROP");
        let mut options = GatewayOptions::new(PrivateKey::generate());
        options.back_end = Some(back_end);
        options.listen.set_port(0);
        let gateway = host.run(async { Gateway::start(options) }).await;
        let ruled = Self {
            host,
            gateway: Arc::new(gateway),
            iptables,
        };
        let gateway = Arc::clone(&ruled.gateway);
        let config = gateway_config(PrivateKey::generate().public_key());
        let apply = async move { gateway.apply(config).await };
        ruled.host.run(apply).await.unwrap();
        ruled
    }

    /// Rules and chains as they are, without counters and comments of the program.
    fn saved(&self) -> Vec<String> {
        let saved = self.host.command(&format!("{}-save", self.iptables), "");
        let lines = saved.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| line.split(" [").next().unwrap_or(line).to_owned())
            .collect()
    }

    async fn repaired(&self, expected: &[String]) {
        let repair = async {
            while self.saved() != expected {
                tokio::task::yield_now().await;
            }
        };
        let repaired = timeout(PATIENCE, repair).await;
        assert!(repaired.is_ok(), "{:#?}", self.saved());
    }
}

#[tokio::test]
async fn rules_are_written_in_front_of_others_and_others_stay() {
    for (back_end, iptables) in BACK_ENDS {
        let ruled = Ruled::start(back_end, iptables).await;
        let saved = ruled.saved();
        let of = |chain: &str| {
            let begin = format!("-A {chain} ");
            let rules = saved.iter().filter(|line| line.starts_with(&begin));
            rules.cloned().collect::<Vec<_>>()
        };
        let [ours, others] = &of("PREROUTING")[..] else {
            panic!("{saved:#?}");
        };
        assert!(ours.ends_with("-j EXTCONN-DIALLED"), "{ours}");
        assert_eq!(others, "-A PREROUTING -p tcp -j DOCKER");
        assert!(of("INPUT")[1].contains("--dport 9999"), "{saved:#?}");
    }
}

#[tokio::test]
async fn what_others_do_to_our_rules_is_repaired() {
    for (back_end, iptables) in BACK_ENDS {
        let ruled = Ruled::start(back_end, iptables).await;
        let right = ruled.saved();
        for damage in [
            "-t nat -F EXTCONN-192.0.2.10",
            "-t nat -I EXTCONN-DIALLED -p tcp -j ACCEPT",
            "-D INPUT 1",
            "-t nat -I PREROUTING 1 -p tcp -j EXTCONN-DIALLED",
            "-t nat -N EXTCONN-192.0.2.99",
        ] {
            ruled.host.command(iptables, damage);
            assert_ne!(ruled.saved(), right, "{damage}");
            ruled.repaired(&right).await;
        }
    }
}

#[tokio::test]
async fn rules_come_back_after_everything_was_flushed() {
    for (back_end, iptables) in BACK_ENDS {
        let ruled = Ruled::start(back_end, iptables).await;
        for flush in ["-t nat -F", "-t nat -X", "-F", "-X"] {
            ruled.host.command(iptables, flush);
        }
        let repair = async {
            while !ruled
                .saved()
                .iter()
                .any(|line| line.contains("--to-destination"))
            {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, repair).await.unwrap();
        let mut report = ruled.gateway.report();
        let applied = report.wait_for(|report| report.rules == RulesState::Applied);
        timeout(PATIENCE, applied).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn removal_leaves_what_was_there_before() {
    for (back_end, iptables) in BACK_ENDS {
        let ruled = Ruled::start(back_end, iptables).await;
        // As after the service was stopped.
        let Ruled { host, gateway, .. } = ruled;
        drop(gateway);
        host.run(Gateway::remove_rules()).await.unwrap();
        let saved = host.command(&format!("{iptables}-save"), "");
        assert!(!saved.contains("EXTCONN"), "{saved}");
        assert!(saved.contains("-A PREROUTING -p tcp -j DOCKER"), "{saved}");
        assert!(saved.contains("--dport 9999"), "{saved}");
    }
}
