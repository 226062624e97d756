//! Why a flow is refused or ends too early: its client sees a reset as soon as that is known, and
//! it is counted.

use std::io::ErrorKind;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use extconn_dataplane::gateway::GatewayConfig;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::world::{
    PATIENCE, POD_1, SOURCE_IP_1, TARGET, World, connect, peers, read_to_end, reset, start_gateway,
};

/// A pod connects, sees a reset, and one flow more is counted for the reason. How long it took.
async fn refused(world: &World, label: &str) -> Duration {
    let before = world.broken(label);
    let mut client = world.pod_connects(POD_1).await;
    let began = Instant::now();
    // The kernel tells of a reset once: to whoever asks first.
    let ended = match client.write_all(b"hello").await {
        Ok(()) => read_to_end(&mut client).await,
        Err(error) => Err((error.kind(), 0)),
    };
    assert_eq!(ended, Err((ErrorKind::ConnectionReset, 0)), "{label}");
    let took = began.elapsed();
    counted(world, label, before + 1).await;
    took
}

/// Waits until flows that broke for a reason are so many.
async fn counted(world: &World, label: &str, flows: u64) {
    let counted = async {
        while world.broken(label) < flows {
            tokio::task::yield_now().await;
        }
    };
    let counted = timeout(PATIENCE, counted).await;
    assert!(counted.is_ok(), "{label}: {}", world.broken(label));
}

#[tokio::test]
async fn what_the_external_servers_side_says_is_said_to_the_client() {
    let world = World::start().await;
    let soon = Duration::from_secs(2);
    // Nobody listens there.
    assert!(refused(&world, "refused").await < soon);
    let gateway = &world.network.gateway;
    gateway.ip("route add unreachable 203.0.113.7/32");
    assert!(refused(&world, "unreachable").await < soon);
    gateway.ip("route del unreachable 203.0.113.7/32");
    // What has no name of its own: the kernel says that the argument is invalid.
    gateway.ip("route add blackhole 203.0.113.7/32");
    assert!(refused(&world, "failed").await < soon);
    gateway.ip("route del blackhole 203.0.113.7/32");
    gateway.ip("address del 192.0.2.10/32 dev lan");
    assert!(refused(&world, "source_ip_missing").await < soon);
    gateway.ip("address add 192.0.2.10/32 dev lan");
    let target = world.target().await;
    world.flow(&target).await;
}

#[tokio::test]
async fn a_target_that_does_not_answer_is_given_up_after_ten_seconds() {
    let world = World::start().await;
    let _target = world.target().await;
    let outside = &world.network.outside;
    outside.command("iptables", "-I INPUT -p tcp --dport 8000 -j DROP");
    let took = refused(&world, "timed_out").await;
    let seconds = took.as_secs_f64();
    assert!((9.9..13.0).contains(&seconds), "{seconds} s");
}

#[tokio::test]
async fn a_source_ip_whose_ports_are_all_in_use_refuses_and_takes_others_when_one_is_free() {
    let world = World::start().await;
    let target = world.target().await;
    let mut two_ports = world.network.gateway.program("sysctl");
    two_ports.args(["-qw", "net.ipv4.ip_local_port_range=40000 40001"]);
    assert!(two_ports.status().unwrap().success());
    let (mut first, first_server) = world.flow(&target).await;
    let _second = world.flow(&target).await;
    refused(&world, "exhausted").await;
    // The external server closes first, so that the port is not kept for a while.
    drop(first_server);
    assert_eq!(read_to_end(&mut first).await.unwrap(), b"");
    drop(first);
    let free = async {
        loop {
            let mut client = world.pod_connects(POD_1).await;
            if timeout(Duration::from_millis(100), target.accept())
                .await
                .is_ok()
            {
                return client;
            }
            let _ = read_to_end(&mut client).await;
        }
    };
    timeout(PATIENCE, free).await.unwrap();
}

#[tokio::test]
async fn what_a_peer_or_a_change_breaks_is_counted() {
    let world = World::start().await;
    let target = world.target().await;
    let (client, mut server) = world.flow(&target).await;
    reset(client);
    read_to_end(&mut server).await.unwrap_err();
    counted(&world, "peer_reset", 1).await;

    let (mut client, _server) = world.flow(&target).await;
    let mut left = peers();
    left.pods.remove(&POD_1);
    world.forwarder.set_peers(left);
    read_to_end(&mut client).await.unwrap_err();
    counted(&world, "revoked", 1).await;
    refused(&world, "unknown_peer").await;

    let mut nodes = peers();
    nodes.nodes.insert(POD_1);
    world.forwarder.set_peers(nodes);
    refused(&world, "node_peer").await;
    world.forwarder.set_peers(peers());

    let nothing = GatewayConfig {
        egress: [].into(),
        ..world.gateway_config()
    };
    world.configure_gateway(nothing).await;
    refused(&world, "forbidden").await;
}

#[tokio::test]
async fn what_a_lost_tunnel_breaks_is_counted() {
    let mut world = World::start().await;
    world.both_tunnels_are_up().await;
    let target = world.target().await;
    let (mut client, _server) = world.flow(&target).await;
    let another = start_gateway(&world.network, &world.host_key, "172.30.0.1:2023").await;
    drop(std::mem::replace(&mut world.gateway, another.into()));
    read_to_end(&mut client).await.unwrap_err();
    counted(&world, "tunnel_lost", 1).await;
    world.tunnel_is_down().await;
    let held = refused(&world, "no_tunnel").await;
    assert!(held > Duration::from_secs(1), "held for {held:?}");
}

#[tokio::test]
async fn what_is_open_when_the_time_to_drain_is_over_is_reset_and_counted() {
    let world = World::start().await;
    let target = world.target().await;
    let (mut client, mut server) = world.flow(&target).await;
    world.forwarder.drain(Duration::from_millis(100)).await;
    read_to_end(&mut client).await.unwrap_err();
    read_to_end(&mut server).await.unwrap_err();
    counted(&world, "draining", 1).await;
}

/// The external server's way in.
#[tokio::test]
async fn a_service_that_refuses_is_said_to_the_external_server() {
    let world = World::start().await;
    let dialled = SocketAddrV4::new(SOURCE_IP_1, 80);
    let dial = connect(*TARGET.ip(), dialled);
    // The reset may be there before the connection is.
    let ended = match world.network.outside.run(dial).await {
        Ok(mut client) => read_to_end(&mut client).await,
        Err(error) => Err((error.kind(), 0)),
    };
    assert_eq!(ended, Err((ErrorKind::ConnectionReset, 0)));
    counted(&world, "refused", 1).await;
    let of_gateway = async {
        let refused = |world: &World| {
            let broken = world.gateway.metrics().broken;
            let refused = broken
                .iter()
                .find(|(reason, _)| reason.label() == "refused");
            refused.unwrap().1
        };
        while refused(&world) < 1 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, of_gateway).await.unwrap();
}
