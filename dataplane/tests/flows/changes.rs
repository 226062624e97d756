//! What changes while flows are open: flows that are no longer allowed are cut, others stay.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use extconn_dataplane::forwarder::{DEFAULT_CONNECTIONS, ForwarderConfig};
use extconn_dataplane::gateway::GatewayConfig;
use extconn_dataplane::identity::PrivateKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};

use crate::world::{
    PATIENCE, POD_1, POD_2, SERVICE, SOURCE_IP_1, STRANGER, TARGET, World, bind, connect, exchange,
    gateway_config, peers, read_to_end,
};

const RESET: Result<Vec<u8>, (ErrorKind, usize)> = Err((ErrorKind::ConnectionReset, 0));

#[tokio::test]
async fn flows_of_a_pod_that_left_are_cut_and_those_of_others_stay() {
    let world = World::start().await;
    let target = world.target().await;
    let (mut client, mut server) = world.flow(&target).await;
    let mut other = world.pod_connects(POD_2).await;
    let (mut other_server, _) = target.accept().await.unwrap();
    let mut left = peers();
    left.pods.remove(&POD_1);
    world.forwarder.set_peers(left);
    assert_eq!(read_to_end(&mut client).await, RESET);
    assert_eq!(read_to_end(&mut server).await, RESET);
    exchange(&mut other, &mut other_server).await;
}

#[tokio::test]
async fn flows_of_a_pod_whose_address_another_pod_took_over_are_cut() {
    let world = World::start().await;
    let target = world.target().await;
    let (mut client, mut server) = world.flow(&target).await;
    let mut reused = peers();
    reused.pods.get_mut(&POD_1).unwrap().uid = "another".to_owned();
    world.forwarder.set_peers(reused);
    assert_eq!(read_to_end(&mut client).await, RESET);
    assert_eq!(read_to_end(&mut server).await, RESET);
}

#[tokio::test]
async fn a_connection_that_comes_before_its_pod_is_known_is_held() {
    let world = World::start().await;
    let target = world.target().await;
    let mut client = world.pod_connects(STRANGER).await;
    client.write_all(b"early").await.unwrap();
    let mut known = peers();
    let mut pod = known.pods[&POD_1].clone();
    pod.uid = "early".to_owned();
    known.pods.insert(STRANGER, pod);
    world.forwarder.set_peers(known);
    let (mut server, peer) = timeout(PATIENCE, target.accept()).await.unwrap().unwrap();
    assert_eq!(peer.ip(), SOURCE_IP_1);
    let mut heard = [0; 5];
    server.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"early");
}

#[tokio::test]
async fn a_connection_is_held_for_longer_while_other_pods_come() {
    let world = World::start().await;
    let target = world.target().await;
    let mut known = peers();
    let mut come = |address: Ipv4Addr| {
        let mut pod = known.pods[&POD_1].clone();
        pod.uid = address.to_string();
        known.pods.insert(address, pod);
        world.forwarder.set_peers(known.clone());
    };
    let begin = Instant::now();
    let _client = world.pod_connects(STRANGER).await;
    sleep_until(begin + Duration::from_millis(1500)).await;
    come(Ipv4Addr::new(10, 244, 9, 1));
    sleep_until(begin + Duration::from_millis(3500)).await;
    come(STRANGER);
    let (_, peer) = timeout(PATIENCE, target.accept()).await.unwrap().unwrap();
    assert_eq!(peer.ip(), SOURCE_IP_1);
}

#[tokio::test]
async fn a_node_is_refused_and_named() {
    let world = World::start().await;
    let mut nodes = peers();
    nodes.nodes.insert(POD_1);
    world.forwarder.set_peers(nodes);
    let mut client = world.pod_connects(POD_1).await;
    assert_eq!(read_to_end(&mut client).await, RESET);
    let mut report = world.forwarder.report();
    let named = report.wait_for(|report| report.refused_nodes.contains(&POD_1));
    timeout(PATIENCE, named).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_withdrawn_key_cuts_its_tunnels_and_flows() {
    let world = World::start().await;
    let target = world.target().await;
    let (mut client, mut server) = world.flow(&target).await;
    let another_key = PrivateKey::generate().public_key();
    world.configure_gateway(gateway_config(another_key)).await;
    assert_eq!(read_to_end(&mut client).await, RESET);
    assert_eq!(read_to_end(&mut server).await, RESET);
    let mut report = world.gateway.report();
    let gone = report.wait_for(|report| report.tunnels.is_empty());
    timeout(PATIENCE, gone).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_withdrawn_grant_cuts_its_flows_and_not_the_tunnel() {
    let world = World::start().await;
    let target = world.target().await;
    let (mut client, _server) = world.flow(&target).await;
    let mut other = world.pod_connects(POD_2).await;
    let (mut other_server, _) = target.accept().await.unwrap();
    let mut config = world.gateway_config();
    let grants = config.egress.get_mut("shop").unwrap();
    grants.retain(|grant| grant.source_ip != SOURCE_IP_1);
    world.configure_gateway(config).await;
    assert_eq!(read_to_end(&mut client).await, RESET);
    exchange(&mut other, &mut other_server).await;
    // The forwarder does not know, and is refused.
    let mut refused = world.pod_connects(POD_1).await;
    assert_eq!(read_to_end(&mut refused).await, RESET);
    assert_eq!(world.broken("forbidden"), 1);
}

#[tokio::test]
async fn an_unrelated_change_leaves_flows_alone() {
    let world = World::start().await;
    let target = world.target().await;
    let (mut client, mut server) = world.flow(&target).await;
    let mut config = world.forwarder_config();
    config
        .egress
        .insert(9000, "203.0.113.7:9000".parse().unwrap());
    world.configure_forwarder(config).await;
    let gateway = GatewayConfig {
        ingress: [].into(),
        ..world.gateway_config()
    };
    world.configure_gateway(gateway).await;
    exchange(&mut client, &mut server).await;
}

#[tokio::test]
async fn a_removed_egress_entry_closes_its_port_and_cuts_its_flows() {
    let world = World::start().await;
    let target = world.target().await;
    let (mut client, _server) = world.flow(&target).await;
    let config = ForwarderConfig {
        egress: [].into(),
        ..world.forwarder_config()
    };
    world.configure_forwarder(config).await;
    assert_eq!(read_to_end(&mut client).await, RESET);
    assert!(world.forwarder.report().borrow().listening.is_empty());
    let knocked = world.try_pod_connects(POD_1).await;
    assert_eq!(knocked.unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn draining_lets_flows_finish_and_accepts_no_others() {
    let world = World::start().await;
    let target = world.target().await;
    let (mut client, mut server) = world.flow(&target).await;
    let draining = tokio::spawn({
        let forwarder = Arc::clone(&world.forwarder);
        async move { forwarder.drain(PATIENCE).await }
    });
    let mut report = world.forwarder.report();
    let closed = report.wait_for(|report| report.listening.is_empty());
    timeout(PATIENCE, closed).await.unwrap().unwrap();
    exchange(&mut client, &mut server).await;
    client.shutdown().await.unwrap();
    server.shutdown().await.unwrap();
    timeout(PATIENCE, draining).await.unwrap().unwrap();
    assert_eq!(read_to_end(&mut client).await.unwrap(), b"");
}

/// The external server dials until it is refused; answers that it got.
async fn dial_until_refused(world: Arc<World>) -> u32 {
    let dialled = SocketAddrV4::new(SOURCE_IP_1, 80);
    for answers in 0.. {
        let dial = connect(*TARGET.ip(), dialled);
        let answer = match world.network.outside.run(dial).await {
            Ok(mut client) => read_to_end(&mut client).await,
            Err(refused) => Err((refused.kind(), 0)),
        };
        match answer {
            Ok(answer) => assert_eq!(answer, b"whole"),
            Err(refused) => {
                assert_eq!(refused, (ErrorKind::ConnectionReset, 0));
                return answers;
            }
        }
    }
    unreachable!("it dials until it is refused")
}

#[tokio::test]
async fn a_forwarder_that_goes_away_serves_all_that_was_opened_before_the_gateway_knew() {
    for _ in 0..5 {
        let world = Arc::new(World::start().await);
        let service = world.network.cluster.run(bind(SERVICE)).await;
        let serving = tokio::spawn(async move {
            loop {
                let (mut stream, _) = service.accept().await.unwrap();
                stream.write_all(b"whole").await.unwrap();
                stream.shutdown().await.unwrap();
            }
        });
        let dialling = [(); 8].map(|()| tokio::spawn(dial_until_refused(Arc::clone(&world))));
        let connects = || {
            world
                .forwarder
                .tunnel_counts()
                .values()
                .map(|c| c.connects)
                .sum()
        };
        while world.forwarder.flows() == 0 || DEFAULT_CONNECTIONS as u64 > connects() {
            tokio::task::yield_now().await;
        }
        world.forwarder.drain(PATIENCE).await;
        let mut answers = 0;
        for dialling in dialling {
            answers += timeout(PATIENCE, dialling).await.unwrap().unwrap();
        }
        serving.abort();
        let broken = world.gateway.metrics().broken;
        let broken = broken.iter().filter(|(_, count)| *count > 0);
        let broken: Vec<_> = broken.map(|(why, count)| (why.label(), *count)).collect();
        assert_eq!(broken, [("no_tunnel", 8)], "after {answers} answers");
    }
}
