//! One end of extconn's data plane as a process: configuration as JSON on standard input, `ready`
//! on standard output, over at the end of standard input.

use std::collections::BTreeMap;
use std::future::Future;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

use anyhow::{Context, Result};
use extconn_dataplane::forwarder::{
    Forwarder, ForwarderConfig, ForwarderOptions, GatewayEndpoint, Peers, Pod, TunnelState,
};
use extconn_dataplane::gateway::{
    EgressGrant, Gateway, GatewayConfig, GatewayOptions, IngressGrant,
};
use extconn_dataplane::identity::PrivateKey;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::input;
use crate::network::plan::{GATEWAY, SOURCE_IP, TARGET};

/// Name by which the gateway knows the forwarder.
const FORWARDER_NAME: &str = "bench";

/// What a forwarder is told.
#[derive(Debug, Deserialize, Serialize)]
pub struct ForwarderEnd {
    /// Its private key.
    pub key: String,
    /// Address on which it accepts.
    pub listen: Ipv4Addr,
    /// The gateway's ssh server.
    pub gateway: SocketAddrV4,
    /// The gateway's public key.
    pub gateway_key: String,
    /// What the external server sees.
    pub source_ip: Ipv4Addr,
    /// Bytes between two exchanges of keys, if not as it does by itself.
    pub rekey_after: Option<usize>,
    /// The port that pods dial, and the external server.
    pub egress: (u16, SocketAddrV4),
    /// What the external server dials, and where it leads.
    #[serde(with = "pairs")]
    pub ingress: BTreeMap<SocketAddrV4, SocketAddrV4>,
    /// Addresses of pods.
    pub pods: Vec<Ipv4Addr>,
}

/// What a gateway is told.
#[derive(Debug, Deserialize, Serialize)]
pub struct GatewayEnd {
    /// Its private key.
    pub host_key: String,
    /// Address of its ssh server.
    pub listen: SocketAddrV4,
    /// The one forwarder's public key.
    pub forwarder_key: String,
    /// What the external server sees.
    pub source_ip: Ipv4Addr,
    /// Bytes between two exchanges of keys, if not as it does by itself.
    pub rekey_after: Option<usize>,
    /// The external server.
    pub egress: SocketAddrV4,
    /// What the external server may dial.
    pub ingress: Vec<SocketAddrV4>,
}

/// A JSON object's keys are text; addresses are not.
mod pairs {
    use super::{BTreeMap, SocketAddrV4};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    type Map = BTreeMap<SocketAddrV4, SocketAddrV4>;

    pub fn serialize<S: Serializer>(map: &Map, serializer: S) -> Result<S::Ok, S::Error> {
        Vec::from_iter(map).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map, D::Error> {
        Ok(Vec::deserialize(deserializer)?.into_iter().collect())
    }
}

/// Is a forwarder until standard input ends.
///
/// # Errors
/// A malformed configuration, or a port is taken.
pub fn run_forwarder() -> Result<()> {
    serve(async |end: ForwarderEnd| {
        let mut options = ForwarderOptions::new(PrivateKey::from_openssh(&end.key)?);
        options.listen = end.listen;
        options.rekey_after = end.rekey_after.unwrap_or(options.rekey_after);
        let forwarder = Forwarder::start(options);
        forwarder.set_peers(peers(&end));
        let endpoint = GatewayEndpoint {
            address: end.gateway,
            host_key: end.gateway_key.parse()?,
        };
        let config = ForwarderConfig {
            egress: [end.egress].into(),
            ingress: end.ingress,
            gateways: [(end.source_ip, endpoint)].into(),
        };
        forwarder.apply(config).await?;
        let mut report = forwarder.report();
        let up = report.wait_for(|report| {
            let mut tunnels = report.tunnels.values();
            tunnels.all(|tunnel| tunnel.state == TunnelState::Up)
        });
        up.await.context("the forwarder ended")?;
        Ok(forwarder)
    })
}

/// Is a gateway until standard input ends.
///
/// # Errors
/// A malformed configuration, a port is taken, or the rules cannot be written.
pub fn run_gateway() -> Result<()> {
    serve(async |end: GatewayEnd| {
        let mut options = GatewayOptions::new(PrivateKey::from_openssh(&end.host_key)?);
        options.listen = end.listen;
        options.rekey_after = end.rekey_after.unwrap_or(options.rekey_after);
        let gateway = Gateway::start(options);
        let grant = EgressGrant {
            source_ip: end.source_ip,
            destination: end.egress,
        };
        let ingress = end.ingress.iter().map(|listen| {
            let peer = *end.egress.ip();
            let listen = *listen;
            (IngressGrant { listen, peer }, FORWARDER_NAME.to_owned())
        });
        let config = GatewayConfig {
            keys: [(end.forwarder_key.parse()?, FORWARDER_NAME.to_owned())].into(),
            egress: [(FORWARDER_NAME.to_owned(), [grant].into())].into(),
            ingress: ingress.collect(),
        };
        gateway.apply(config).await?;
        Ok(gateway)
    })
}

/// Grants whose rules are measured: some ports for many peers, as many tenants would have.
const GRANTS: u32 = 10_000;
const PORTS: u32 = 100;
/// Changes that are measured.
const CHANGES: u32 = 5;

/// How long rules took, in seconds.
#[derive(Debug, Deserialize, Serialize)]
pub struct RulesTook {
    /// From no grant to all.
    pub from_empty: f64,
    /// Each of some single changes.
    pub one_changed: Vec<f64>,
}

/// Gives a gateway many grants, then changes one a few times. Writes a [`RulesTook`] as JSON.
///
/// # Errors
/// The rules cannot be written.
#[tokio::main]
pub async fn measure_rules() -> Result<()> {
    let mut options = GatewayOptions::new(PrivateKey::generate());
    options.listen = SocketAddrV4::new(GATEWAY, 0);
    let gateway = Gateway::start(options);
    let mut config = GatewayConfig::default();
    let grant = |number: u32| {
        let peer = Ipv4Addr::from_bits(TARGET.ip().to_bits() - 7 + number / PORTS);
        let listen = SocketAddrV4::new(SOURCE_IP, 1000 + (number % PORTS) as u16);
        (IngressGrant { listen, peer }, FORWARDER_NAME.to_owned())
    };
    config.ingress.extend((0..GRANTS).map(grant));
    let begin = Instant::now();
    gateway.apply(config.clone()).await?;
    let from_empty = begin.elapsed().as_secs_f64();
    let mut one_changed = Vec::new();
    for change in 0..CHANGES {
        config.ingress.remove(&grant(change * PORTS).0);
        config.ingress.extend([grant(GRANTS + change)]);
        let begin = Instant::now();
        gateway.apply(config.clone()).await?;
        one_changed.push(begin.elapsed().as_secs_f64());
    }
    Gateway::remove_rules().await?;
    let took = RulesTook {
        from_empty,
        one_changed,
    };
    writeln!(io::stdout(), "{}", serde_json::to_string(&took)?)?;
    Ok(())
}

fn peers(end: &ForwarderEnd) -> Peers {
    let pods = end.pods.iter().map(|address| {
        let pod = Pod {
            name: format!("bench/pod-{address}"),
            uid: address.to_string(),
            source_ip: end.source_ip,
        };
        (*address, pod)
    });
    Peers {
        pods: pods.collect(),
        ..Peers::default()
    }
}

/// Reads a configuration, starts what it configures, says so, and keeps it until standard input
/// ends.
#[tokio::main]
async fn serve<C, E, F>(start: impl FnOnce(C) -> F) -> Result<()>
where
    C: DeserializeOwned,
    F: Future<Output = Result<E>>,
{
    let filter = tracing_subscriber::EnvFilter::builder()
        .with_default_directive(tracing_subscriber::filter::LevelFilter::ERROR.into())
        .from_env_lossy();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .init();
    let mut lines = input::lines();
    let line = lines.recv().await.context("no configuration")?;
    let _end = start(serde_json::from_str(&line).context("read the configuration")?).await?;
    writeln!(io::stdout(), "ready")?;
    while lines.recv().await.is_some() {}
    Ok(())
}
