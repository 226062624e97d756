//! A cluster, a gateway host and an external server, each a host of its own.
//!
//! ```text
//!   cluster                         gateway                        outside
//!   10.244.0.2  forwarder ── 172.30.0.2/24   172.30.0.1/24
//!   10.244.1.5  pod 1                        192.0.2.10   ──       203.0.113.7   external server
//!   10.244.1.6  pod 2                        192.0.2.11            203.0.113.66  third host
//!   10.96.3.4   Service
//! ```

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use extconn_dataplane::forwarder::{
    Forwarder, ForwarderConfig, ForwarderOptions, GatewayEndpoint, Peers, Pod, TunnelState,
};
use extconn_dataplane::gateway::{
    EgressGrant, Gateway, GatewayConfig, GatewayOptions, IngressGrant,
};
use extconn_dataplane::identity::{PrivateKey, PublicKey};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::host::Host;
use crate::log::log;

pub const FORWARDER: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 2);
pub const POD_1: Ipv4Addr = Ipv4Addr::new(10, 244, 1, 5);
pub const POD_2: Ipv4Addr = Ipv4Addr::new(10, 244, 1, 6);
pub const STRANGER: Ipv4Addr = Ipv4Addr::new(10, 244, 1, 99);
pub const SERVICE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 96, 3, 4), 80);
pub const GATEWAY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(172, 30, 0, 1), 2022);
pub const SOURCE_IP_1: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
pub const SOURCE_IP_2: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 11);
pub const TARGET: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 7), 8000);
pub const THIRD_HOST: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 66);
pub const LISTEN: u16 = 8000;

/// Longest time that anything may take here.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The three hosts.
pub struct Network {
    pub cluster: Host,
    pub gateway: Host,
    pub outside: Host,
}

impl Network {
    pub fn start() -> Self {
        let [cluster, gateway, outside] = ["cluster", "gateway", "outside"].map(Host::start);
        cluster.connect("wan", &gateway, "wan");
        gateway.connect("lan", &outside, "lan");
        cluster.ip("address add 172.30.0.2/24 dev wan");
        gateway.ip("address add 172.30.0.1/24 dev wan");
        for address in [FORWARDER, POD_1, POD_2, STRANGER, *SERVICE.ip()] {
            cluster.ip(&format!("address add {address}/32 dev lo"));
        }
        for address in [SOURCE_IP_1, SOURCE_IP_2] {
            gateway.ip(&format!("address add {address}/32 dev lan"));
        }
        for address in [*TARGET.ip(), THIRD_HOST] {
            outside.ip(&format!("address add {address}/32 dev lan"));
        }
        gateway.ip("route add 203.0.113.0/24 dev lan");
        outside.ip("route add 192.0.2.0/24 dev lan src 203.0.113.7");
        Self {
            cluster,
            gateway,
            outside,
        }
    }
}

/// The three hosts with a forwarder and a gateway that know each other.
pub struct World {
    pub network: Network,
    pub key: PrivateKey,
    pub host_key: PrivateKey,
    pub forwarder: Arc<Forwarder>,
    pub gateway: Arc<Gateway>,
}

impl World {
    /// Everything is configured and the tunnel is up.
    pub async fn start() -> Self {
        Self::start_with(|_, _| {}).await
    }

    /// As [`World::start`], with other options.
    pub async fn start_with(
        change: impl FnOnce(&mut ForwarderOptions, &mut GatewayOptions),
    ) -> Self {
        let world = Self::start_unconfigured_with(change).await;
        world.configure_gateway(world.gateway_config()).await;
        world.forwarder.set_peers(peers());
        world.configure_forwarder(world.forwarder_config()).await;
        world.tunnel_is_up().await;
        world
    }

    pub async fn start_unconfigured() -> Self {
        Self::start_unconfigured_with(|_, _| {}).await
    }

    async fn start_unconfigured_with(
        change: impl FnOnce(&mut ForwarderOptions, &mut GatewayOptions),
    ) -> Self {
        log();
        let network = Network::start();
        let (key, host_key) = (PrivateKey::generate(), PrivateKey::generate());
        let mut forwarder = ForwarderOptions::new(key.clone());
        forwarder.listen = FORWARDER;
        let mut gateway = GatewayOptions::new(host_key.clone());
        gateway.listen = GATEWAY;
        change(&mut forwarder, &mut gateway);
        let gateway = network.gateway.run(async { Gateway::start(gateway) }).await;
        let forwarder = network
            .cluster
            .run(async { Forwarder::start(forwarder) })
            .await;
        Self {
            network,
            key,
            host_key,
            forwarder: Arc::new(forwarder),
            gateway: Arc::new(gateway),
        }
    }

    pub async fn configure_forwarder(&self, config: ForwarderConfig) {
        let forwarder = Arc::clone(&self.forwarder);
        let apply = async move { forwarder.apply(config).await };
        self.network.cluster.run(apply).await.unwrap();
    }

    pub async fn configure_gateway(&self, config: GatewayConfig) {
        let gateway = Arc::clone(&self.gateway);
        let apply = async move { gateway.apply(config).await };
        self.network.gateway.run(apply).await.unwrap();
    }

    pub fn gateway_config(&self) -> GatewayConfig {
        gateway_config(self.key.public_key())
    }

    pub fn forwarder_config(&self) -> ForwarderConfig {
        let endpoint = GatewayEndpoint {
            address: GATEWAY,
            host_key: self.host_key.public_key(),
        };
        ForwarderConfig {
            egress: [(LISTEN, TARGET)].into(),
            ingress: [(SocketAddrV4::new(SOURCE_IP_1, 80), SERVICE)].into(),
            gateways: [(SOURCE_IP_1, endpoint.clone()), (SOURCE_IP_2, endpoint)].into(),
        }
    }

    pub async fn tunnel_is_up(&self) {
        let mut report = self.forwarder.report();
        let up = report.wait_for(|report| {
            let mut tunnels = report.tunnels.values();
            !report.tunnels.is_empty() && tunnels.all(|tunnel| tunnel.state == TunnelState::Up)
        });
        timeout(PATIENCE, up).await.unwrap().unwrap();
    }

    /// Both of its connections are, and not only the first.
    pub async fn both_tunnels_are_up(&self) {
        let both = async {
            let counts = || self.forwarder.tunnel_counts();
            while counts().values().map(|count| count.connects).sum::<u64>() < 2 {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, both).await.unwrap();
    }

    /// The last of its connections is known to be lost.
    pub async fn tunnel_is_down(&self) {
        let mut report = self.forwarder.report();
        let down =
            report.wait_for(|report| report.tunnels[&SOURCE_IP_1].state == TunnelState::Down);
        timeout(PATIENCE, down).await.unwrap().unwrap();
    }

    /// A connection of a pod to what the forwarder listens on.
    pub async fn pod_connects(&self, pod: Ipv4Addr) -> TcpStream {
        self.try_pod_connects(pod).await.unwrap()
    }

    pub async fn try_pod_connects(&self, pod: Ipv4Addr) -> std::io::Result<TcpStream> {
        let to = SocketAddrV4::new(FORWARDER, LISTEN);
        self.network.cluster.run(connect(pod, to)).await
    }

    /// Flows that the forwarder counted as broken for a reason.
    pub fn broken(&self, label: &str) -> u64 {
        let broken = self.forwarder.metrics().broken;
        let reason = broken.iter().find(|(reason, _)| reason.label() == label);
        reason.unwrap().1
    }

    /// A connection of a pod, and the external server's end of it.
    pub async fn flow(&self, target: &TcpListener) -> (TcpStream, TcpStream) {
        let client = self.pod_connects(POD_1).await;
        let accepted = timeout(PATIENCE, target.accept()).await.unwrap();
        (client, accepted.unwrap().0)
    }

    /// What the external server listens on.
    pub async fn target(&self) -> TcpListener {
        self.network.outside.run(bind(TARGET)).await
    }
}

pub async fn start_gateway(network: &Network, host_key: &PrivateKey, listen: &str) -> Gateway {
    let mut options = GatewayOptions::new(host_key.clone());
    options.listen = listen.parse().unwrap();
    network.gateway.run(async { Gateway::start(options) }).await
}

pub fn gateway_config(key: PublicKey) -> GatewayConfig {
    let grant = |source_ip| EgressGrant {
        source_ip,
        destination: TARGET,
    };
    let ingress = IngressGrant {
        listen: SocketAddrV4::new(SOURCE_IP_1, 80),
        peer: *TARGET.ip(),
    };
    GatewayConfig {
        keys: [(key, "shop".to_owned())].into(),
        egress: [(
            "shop".to_owned(),
            [grant(SOURCE_IP_1), grant(SOURCE_IP_2)].into(),
        )]
        .into(),
        ingress: [(ingress, "shop".to_owned())].into(),
    }
}

pub fn peers() -> Peers {
    let pod = |number: u8, source_ip| Pod {
        name: format!("ns{number}/my-pod{number}"),
        uid: format!("uid-{number}"),
        source_ip,
    };
    Peers {
        pods: [(POD_1, pod(1, SOURCE_IP_1)), (POD_2, pod(2, SOURCE_IP_2))].into(),
        ..Peers::default()
    }
}

pub async fn connect(from: Ipv4Addr, to: SocketAddrV4) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    socket.connect(to.into()).await
}

pub async fn bind(address: SocketAddrV4) -> TcpListener {
    TcpListener::bind(address).await.unwrap()
}

/// How a stream ends for its reader: all bytes, or the error and how many came before it.
pub async fn read_to_end(stream: &mut TcpStream) -> Result<Vec<u8>, (std::io::ErrorKind, usize)> {
    let mut bytes = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    match read.expect("the stream ends in time") {
        Ok(_) => Ok(bytes),
        Err(error) => Err((error.kind(), bytes.len())),
    }
}

/// Ends a connection with a reset.
pub fn reset(stream: TcpStream) {
    let socket = SockRef::from(&stream);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
}

/// Both directions of a flow work.
pub async fn exchange(client: &mut TcpStream, server: &mut TcpStream) {
    says(client, server).await;
    says(server, client).await;
}

async fn says(from: &mut TcpStream, to: &mut TcpStream) {
    from.write_all(b"still there?").await.unwrap();
    let mut heard = [0; 12];
    timeout(PATIENCE, to.read_exact(&mut heard))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&heard, b"still there?");
}

/// Bytes of which no place is taken for its neighbour, to be sent and compared whole slices at a
/// time.
pub struct Pattern(Vec<u8>);

impl Pattern {
    pub fn new() -> Self {
        Self((0..(1 << 16) + 256).map(|at| at as u8).collect())
    }

    /// `len` bytes, at most 65536, of a stream from place `at` on.
    pub fn at(&self, at: usize, len: usize) -> &[u8] {
        &self.0[at % 256..][..len]
    }
}

/// Sends `len` bytes of the pattern, a multiple of 64 KiB, and says that this is all.
pub async fn send_pattern(writer: &mut (impl AsyncWrite + Unpin), len: usize) {
    let pattern = Pattern::new();
    for at in (0..len).step_by(1 << 16) {
        writer.write_all(pattern.at(at, 1 << 16)).await.unwrap();
    }
    writer.shutdown().await.unwrap();
}

/// Reads to a clean end; what came must be `len` bytes of the pattern.
pub async fn receive_pattern(reader: &mut (impl AsyncRead + Unpin), len: usize) {
    let pattern = Pattern::new();
    let mut buffer = vec![0; 1 << 16];
    let mut arrived = 0;
    while let read @ 1.. = reader.read(&mut buffer).await.unwrap() {
        assert!(&buffer[..read] == pattern.at(arrived, read), "at {arrived}");
        arrived += read;
    }
    assert_eq!(arrived, len);
}
