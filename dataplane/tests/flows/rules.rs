//! The rules in the kernel, with both back ends of iptables.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use extconn_dataplane::gateway::{
    BackEnd, Gateway, GatewayConfig, GatewayOptions, IngressGrant, RulesState,
};
use extconn_dataplane::identity::PrivateKey;
use tokio::time::timeout;

use crate::host::Host;
use crate::world::{PATIENCE, SOURCE_IP_1, gateway_config};

const BACK_ENDS: [(BackEnd, &str); 2] = [
    (BackEnd::Nft, "iptables-nft"),
    (BackEnd::Legacy, "iptables-legacy"),
];

/// Longest time for which rules are other than they should be.
const DRIFT_LASTS: Duration = Duration::from_secs(5);

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
        let config = gateway_config(PrivateKey::generate().public_key());
        ruled.apply(config).await;
        ruled
    }

    async fn apply(&self, config: GatewayConfig) {
        let gateway = Arc::clone(&self.gateway);
        let apply = async move { gateway.apply(config).await };
        self.host.run(apply).await.unwrap();
    }

    /// Takes away all rules and chains of both tables, each table at once: one after the other, the
    /// gateway might have some back in between.
    fn flush(&self) {
        let restore = format!(
            "printf '*nat\\nCOMMIT\\n*filter\\nCOMMIT\\n' | {}-restore",
            self.iptables
        );
        let status = self.host.program("sh").args(["-c", &restore]).status();
        assert!(status.unwrap().success(), "{restore}");
    }

    /// Rules and chains as they are, without counters and comments of the program.
    fn saved(&self) -> Vec<String> {
        let saved = self.host.command(&format!("{}-save", self.iptables), "");
        let lines = saved.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| line.split(" [").next().unwrap_or(line).to_owned())
            .collect()
    }

    /// Waits until rules of ours are there, and the gateway says that they are.
    async fn written_again(&self) {
        let written = |saved: Vec<String>| {
            let lines = saved.iter();
            lines
                .filter(|line| line.contains("--to-destination"))
                .count()
                > 0
        };
        let repair = async {
            while !written(self.saved()) {
                tokio::task::yield_now().await;
            }
        };
        timeout(DRIFT_LASTS, repair).await.unwrap();
        let mut report = self.gateway.report();
        let applied = report.wait_for(|report| report.rules == RulesState::Applied);
        timeout(PATIENCE, applied).await.unwrap().unwrap();
    }

    async fn repaired(&self, expected: &[String]) {
        let repair = async {
            while self.saved() != expected {
                tokio::task::yield_now().await;
            }
        };
        let repaired = timeout(DRIFT_LASTS, repair).await;
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
async fn changes_one_after_another_end_in_the_same_rules_and_chains() {
    for (back_end, iptables) in BACK_ENDS {
        let ruled = Ruled::start(back_end, iptables).await;
        let written = || {
            let mut saved = ruled.saved();
            saved.sort();
            saved
        };
        let one = written();
        let mut config = gateway_config(PrivateKey::generate().public_key());
        let grant = |port, peer: u8| IngressGrant {
            listen: SocketAddrV4::new(SOURCE_IP_1, port),
            peer: Ipv4Addr::new(203, 0, 113, peer),
        };
        for (port, peer) in [(80, 8), (80, 9), (443, 7)] {
            config.ingress.insert(grant(port, peer), "shop".to_owned());
            ruled.apply(config.clone()).await;
            let saved = written();
            let leads = saved.iter().filter(|line| line.contains(" -j DNAT "));
            assert_eq!(leads.count(), config.ingress.len(), "{saved:#?}");
        }
        for (port, peer) in [(80, 8), (443, 7), (80, 9)] {
            config.ingress.remove(&grant(port, peer));
            ruled.apply(config.clone()).await;
        }
        assert_eq!(written(), one);
    }
}

#[tokio::test]
async fn a_change_that_meets_rules_of_which_some_are_gone_is_made_all_the_same() {
    for (back_end, iptables) in BACK_ENDS {
        let ruled = Ruled::start(back_end, iptables).await;
        let right = ruled.saved();
        let mut config = gateway_config(PrivateKey::generate().public_key());
        let grants = std::mem::take(&mut config.ingress);
        ruled.host.command(iptables, "-t nat -F EXTCONN-DIALLED");
        ruled.apply(config.clone()).await;
        assert!(!ruled.saved().iter().any(|line| line.contains("EXTCONN")));
        config.ingress = grants;
        ruled.apply(config).await;
        assert_eq!(ruled.saved().len(), right.len());
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
        ruled.flush();
        ruled.written_again().await;
    }
}

#[tokio::test]
async fn rules_come_back_after_the_ruleset_of_nf_tables_was_flushed() {
    let ruled = Ruled::start(BackEnd::Nft, "iptables-nft").await;
    let flushed = ruled.host.run(async { flush_ruleset() }).await;
    flushed.unwrap();
    ruled.written_again().await;
}

/// What `nft flush ruleset` sends: delete every table of every family.
fn flush_ruleset() -> nix::Result<()> {
    use nix::sys::socket::{
        AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto,
        socket,
    };
    const REQUEST: u16 = 1;
    const ACKNOWLEDGE: u16 = 4;
    const NF_TABLES: u16 = 10;
    const DELETE_TABLE: u16 = 2;
    // Header of netlink, then the one of netfilter without a family.
    let message = |kind: u16, flags: u16, of: u16| {
        let mut message = 20_u32.to_ne_bytes().to_vec();
        message.extend(kind.to_ne_bytes());
        message.extend(flags.to_ne_bytes());
        message.extend([0; 10]);
        message.extend(of.to_be_bytes());
        message
    };
    let batch = [
        message(0x10, REQUEST, NF_TABLES),
        message(NF_TABLES << 8 | DELETE_TABLE, REQUEST | ACKNOWLEDGE, 0),
        message(0x11, REQUEST, NF_TABLES),
    ]
    .concat();
    let netlink = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkNetFilter,
    )?;
    let fd = std::os::fd::AsRawFd::as_raw_fd(&netlink);
    sendto(fd, &batch, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    let mut answer = [0; 1024];
    recv(fd, &mut answer, MsgFlags::empty())?;
    let [a, b, c, d] = answer[16..20] else {
        unreachable!("four bytes")
    };
    match i32::from_ne_bytes([a, b, c, d]) {
        0 => Ok(()),
        error => Err(nix::errno::Errno::from_raw(-error)),
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
