//! From the external server to a Service.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4};

use extconn_dataplane::gateway::{GatewayConfig, IngressGrant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::world::{PATIENCE, SERVICE, SOURCE_IP_1, TARGET, THIRD_HOST, World, bind, connect};

const DIALLED: SocketAddrV4 = SocketAddrV4::new(SOURCE_IP_1, 80);

/// How a connection from outside to an address fails, if it does.
async fn knock(world: &World, from: Ipv4Addr, to: SocketAddrV4) -> Option<ErrorKind> {
    let knocked = world.network.outside.run(connect(from, to)).await;
    knocked.err().map(|error| error.kind())
}

/// The port that the rules lead to.
fn relay_port(world: &World) -> u16 {
    let rules = world.network.gateway.command("iptables-save", "-t nat");
    let (_, port) = rules.split_once("--to-destination 192.0.2.10:").unwrap();
    port.split_whitespace().next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn the_external_server_reaches_the_service_at_its_source_ip() {
    let world = World::start().await;
    let service = world.network.cluster.run(bind(SERVICE)).await;
    let dial = connect(*TARGET.ip(), DIALLED);
    let mut client = world.network.outside.run(dial).await.unwrap();
    let (mut server, _) = timeout(PATIENCE, service.accept()).await.unwrap().unwrap();
    client.write_all(b"hello").await.unwrap();
    client.shutdown().await.unwrap();
    let mut heard = String::new();
    timeout(PATIENCE, server.read_to_string(&mut heard))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(heard, "hello");
    server.write_all(b"world").await.unwrap();
    drop(server);
    heard.clear();
    timeout(PATIENCE, client.read_to_string(&mut heard))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(heard, "world");
}

#[tokio::test]
async fn a_third_host_is_refused_at_the_source_ip_and_at_the_relay_port() {
    let world = World::start().await;
    let _service = world.network.cluster.run(bind(SERVICE)).await;
    let relay = SocketAddrV4::new(SOURCE_IP_1, relay_port(&world));
    let refused = Some(ErrorKind::ConnectionRefused);
    assert_eq!(knock(&world, THIRD_HOST, DIALLED).await, refused);
    assert_eq!(knock(&world, THIRD_HOST, relay).await, refused);
    assert_eq!(knock(&world, *TARGET.ip(), relay).await, refused);
    assert_eq!(knock(&world, *TARGET.ip(), DIALLED).await, None);
}

#[tokio::test]
async fn each_of_several_peers_of_a_port_comes_and_goes_by_itself() {
    let world = World::start().await;
    let _service = world.network.cluster.run(bind(SERVICE)).await;
    let refused = Some(ErrorKind::ConnectionRefused);
    let with_third_host = {
        let mut config = world.gateway_config();
        let grant = IngressGrant {
            listen: DIALLED,
            peer: THIRD_HOST,
        };
        config.ingress.insert(grant, "shop".to_owned());
        config
    };
    for _ in 0..2 {
        world.configure_gateway(with_third_host.clone()).await;
        assert_eq!(knock(&world, *TARGET.ip(), DIALLED).await, None);
        assert_eq!(knock(&world, THIRD_HOST, DIALLED).await, None);
        world.configure_gateway(world.gateway_config()).await;
        assert_eq!(knock(&world, *TARGET.ip(), DIALLED).await, None);
        assert_eq!(knock(&world, THIRD_HOST, DIALLED).await, refused);
    }
}

#[tokio::test]
async fn without_grants_nothing_of_us_is_left_in_the_rules() {
    let world = World::start().await;
    let config = GatewayConfig {
        ingress: [].into(),
        ..world.gateway_config()
    };
    world.configure_gateway(config).await;
    let rules = world.network.gateway.command("iptables-save", "");
    assert!(!rules.contains("EXTCONN"), "{rules}");
    let refused = Some(ErrorKind::ConnectionRefused);
    assert_eq!(knock(&world, *TARGET.ip(), DIALLED).await, refused);
}
