//! An end of a tunnel that breaks the protocol: its own tunnel ends, for a reason that is logged,
//! and nothing else does.

use std::net::SocketAddrV4;
use std::sync::Arc;

use extconn_dataplane::forwarder::GatewayEndpoint;
use extconn_dataplane::identity::PrivateKey;
use russh::keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate, decode_secret_key};
use russh::server::{Auth, ChannelOpenHandle, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, client, server};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::log::logged;
use crate::world::{GATEWAY, PATIENCE, SOURCE_IP_1, World, bind, exchange};

/// Connections to a port begin and go no further.
const HOLD_8000: &str = "-I INPUT -p tcp --syn --dport 8000 -j DROP";
const HOLD_80: &str = "-I INPUT -p tcp --syn --dport 80 -j DROP";

const SUBSYSTEM: &str = "flows-v1@extconn.submariner.io";

/// What an end is spoken to as, and an open request that it grants.
struct Spoken {
    /// The flow that whoever speaks may open.
    flow: u32,
    request: [u8; 14],
}

const TO_GATEWAY: Spoken = Spoken {
    flow: 1,
    // Egress, TCP, 192.0.2.10 to 203.0.113.7:8000.
    request: [1, 6, 192, 0, 2, 10, 0, 0, 203, 0, 113, 7, 0x1f, 0x40],
};
const TO_FORWARDER: Spoken = Spoken {
    flow: 2,
    // Ingress, TCP, 192.0.2.10:80 from 203.0.113.7:40000.
    request: [2, 6, 192, 0, 2, 10, 0, 80, 203, 0, 113, 7, 0x9c, 0x40],
};

impl Spoken {
    fn open(&self, flow: u32) -> Vec<u8> {
        let mut open = frame(1, 1, 14, flow, 0);
        open.extend(self.request);
        open
    }
}

/// A frame whose payload is all of one byte. `len` is what the header says.
fn frame(version: u8, kind: u8, len: u16, flow: u32, payload: usize) -> Vec<u8> {
    let [a, b] = len.to_be_bytes();
    let mut frame = vec![version, kind, a, b];
    frame.extend(flow.to_be_bytes());
    frame.resize(frame.len() + payload, 0xff);
    frame
}

/// What is wrong, and what is said about it.
fn malformed(spoken: &Spoken) -> Vec<(Vec<u8>, String)> {
    let open = |flow| spoken.open(flow);
    let (good, wrong) = (spoken.flow, spoken.flow + 1);
    let said = |text: &str| text.to_owned();
    vec![
        (frame(2, 3, 1, good, 1), said("frame of unknown version 2")),
        (
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            said("frame of unknown version 71"),
        ),
        (frame(1, 10, 1, good, 1), said("frame of unknown kind 10")),
        (
            frame(1, 3, 0xffff, good, 100),
            said("Data frame of 65535 bytes"),
        ),
        (
            frame(1, 1, 5000, good, 5000),
            said("Open frame of 5000 bytes"),
        ),
        (
            frame(1, 1, 3, good, 3),
            said("open request of 3 bytes is cut short"),
        ),
        (
            frame(1, 1, 14, good, 14),
            said("open request for unknown protocol 255"),
        ),
        (
            open(wrong),
            format!("flow {wrong} opened by the wrong end or twice"),
        ),
        (
            [open(good), open(good)].concat(),
            format!("flow {good} opened by the wrong end or twice"),
        ),
        (
            [open(good), frame(1, 6, 4, good, 4)].concat(),
            format!("flow {good}: window beyond 32 bits"),
        ),
        (
            [open(good), frame(1, 4, 0, good, 0), frame(1, 3, 1, good, 1)].concat(),
            format!("flow {good}: more after its end"),
        ),
        (
            [open(good), frame(1, 3, 32760, good, 32760).repeat(3)].concat(),
            said("bytes were sent where"),
        ),
    ]
}

#[tokio::test]
async fn a_forwarder_that_breaks_the_protocol_loses_its_tunnel_and_no_other() {
    let world = World::start().await;
    let target = world.target().await;
    let (mut client, mut server) = world.flow(&target).await;
    // What a granted flow leads to does not answer, so nobody takes what comes for it.
    world.network.outside.command("iptables", HOLD_8000);
    for (bytes, said) in malformed(&TO_GATEWAY) {
        let key = world.key.to_openssh().unwrap().to_string();
        let speak = speak_as_forwarder(key, bytes);
        let from = world.network.cluster.run(speak).await;
        let peer = format!("peer={from}");
        let told = timeout(PATIENCE, logged(&[&peer, "tunnel gone", &said])).await;
        assert!(told.is_ok(), "{said}");
        exchange(&mut client, &mut server).await;
    }
    world.network.outside.command("iptables", "-F INPUT");
    world.flow(&target).await;
}

/// Is admitted as a forwarder, says something, and waits until the gateway has hung up. Where it
/// spoke from.
async fn speak_as_forwarder(key: String, bytes: Vec<u8>) -> SocketAddrV4 {
    struct Trusting;
    impl client::Handler for Trusting {
        type Error = russh::Error;
        async fn check_server_key(
            &mut self,
            _: &PublicKeyOrCertificate,
        ) -> Result<bool, Self::Error> {
            Ok(true)
        }
    }
    let stream = TcpStream::connect(GATEWAY).await.unwrap();
    let std::net::SocketAddr::V4(from) = stream.local_addr().unwrap() else {
        panic!("dialled by IPv4");
    };
    let config = Arc::new(client::Config::default());
    let mut session = client::connect_stream(config, stream, Trusting)
        .await
        .unwrap();
    let key = Arc::new(decode_secret_key(&key, None).unwrap());
    let signer = PrivateKeyWithHashAlg::new(key, None);
    let answer = session.authenticate_publickey("extconn", signer).await;
    assert!(answer.unwrap().success());
    let mut channel = session.channel_open_session().await.unwrap();
    channel.request_subsystem(true, SUBSYSTEM).await.unwrap();
    // The gateway may hang up before all is sent.
    let _ = channel.data(&bytes[..]).await;
    let hung_up = async { while channel.wait().await.is_some() {} };
    timeout(PATIENCE, hung_up).await.unwrap();
    from
}

#[tokio::test]
async fn a_gateway_that_breaks_the_protocol_loses_its_tunnels_and_the_forwarder_goes_on() {
    let world = World::start().await;
    let target = world.target().await;
    world.network.cluster.command("iptables", HOLD_80);
    for (at, (bytes, said)) in malformed(&TO_FORWARDER).into_iter().enumerate() {
        let address = SocketAddrV4::new(*GATEWAY.ip(), 3000 + u16::try_from(at).unwrap());
        let host_key = PrivateKey::generate();
        let endpoint = GatewayEndpoint {
            address,
            host_key: host_key.public_key(),
        };
        let listening = world.network.gateway.run(bind(address)).await;
        let key = host_key.to_openssh().unwrap().to_string();
        let answering = speak_as_gateway(listening, key, bytes);
        let answering = world.network.gateway.spawn(answering);
        let mut config = world.forwarder_config();
        config.gateways.insert(SOURCE_IP_1, endpoint);
        world.configure_forwarder(config).await;
        let gateway = format!("gateway={address}");
        let told = timeout(PATIENCE, logged(&[&gateway, "tunnel lost", &said])).await;
        assert!(told.is_ok(), "{said}");
        answering.abort();
    }
    world.configure_forwarder(world.forwarder_config()).await;
    world.tunnel_is_up().await;
    let (mut client, mut server) = world.flow(&target).await;
    exchange(&mut client, &mut server).await;
}

/// Is a gateway that says something to each forwarder that comes.
async fn speak_as_gateway(listener: tokio::net::TcpListener, key: String, bytes: Vec<u8>) {
    let config = Arc::new(server::Config {
        keys: vec![decode_secret_key(&key, None).unwrap()],
        ..server::Config::default()
    });
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let speaker = Speaker(bytes.clone());
        if let Ok(session) = server::run_stream(Arc::clone(&config), stream, speaker).await {
            // The forwarder hangs up.
            let _ = session.await;
        }
    }
}

/// Admits everybody and says something.
struct Speaker(Vec<u8>);

impl server::Handler for Speaker {
    type Error = russh::Error;

    async fn auth_publickey(
        &mut self,
        _: &str,
        _: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        _: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)?;
        session.data(channel, self.0.clone())
    }
}
