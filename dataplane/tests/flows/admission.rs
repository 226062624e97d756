//! Who is let into a gateway, and which gateway a forwarder believes.

use std::net::Ipv4Addr;

use extconn_dataplane::forwarder::TunnelState;
use extconn_dataplane::gateway::SshState;
use extconn_dataplane::identity::PrivateKey;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use crate::world::{
    GATEWAY, Network, PATIENCE, SOURCE_IP_1, World, bind, connect, gateway_config, peers,
    start_gateway,
};

/// What the forwarder says when its first try has failed.
async fn trouble(world: &World) -> String {
    let mut report = world.forwarder.report();
    let down = report.wait_for(|report| {
        let tunnel = report.tunnels.get(&SOURCE_IP_1);
        tunnel.is_some_and(|tunnel| tunnel.state == TunnelState::Down)
    });
    let report = timeout(PATIENCE, down).await.unwrap().unwrap();
    report.tunnels[&SOURCE_IP_1].message.clone().unwrap()
}

#[tokio::test]
async fn an_unknown_key_is_refused_until_it_is_admitted() {
    let world = World::start_unconfigured().await;
    let another_key = PrivateKey::generate().public_key();
    world.configure_gateway(gateway_config(another_key)).await;
    world.forwarder.set_peers(peers());
    world.configure_forwarder(world.forwarder_config()).await;
    let said = trouble(&world).await;
    assert!(
        said.contains("gateway 172.30.0.1:2022 does not admit key ssh-ed25519"),
        "{said}"
    );
    world.configure_gateway(world.gateway_config()).await;
    world.tunnel_is_up().await;
}

#[tokio::test]
async fn another_host_key_than_the_pinned_one_is_refused() {
    let world = World::start_unconfigured().await;
    world.configure_gateway(world.gateway_config()).await;
    let mut config = world.forwarder_config();
    let pinned = PrivateKey::generate().public_key();
    for endpoint in config.gateways.values_mut() {
        endpoint.host_key = pinned.clone();
    }
    world.configure_forwarder(config).await;
    let said = trouble(&world).await;
    let presented = world.host_key.public_key();
    let expected =
        format!("gateway 172.30.0.1:2022 presented host key {presented}, not the pinned {pinned}");
    assert!(said.contains(&expected), "{said}");
    assert!(world.gateway.report().borrow().tunnels.is_empty());
}

#[tokio::test]
async fn strangers_that_say_nothing_keep_no_forwarder_out() {
    let world = World::start_unconfigured().await;
    let knock = async {
        let mut strangers = Vec::new();
        for _ in 0..200 {
            strangers.push(
                connect(Ipv4Addr::new(172, 30, 0, 2), GATEWAY)
                    .await
                    .unwrap(),
            );
        }
        strangers
    };
    let strangers = world.network.cluster.run(knock).await;
    world.configure_gateway(world.gateway_config()).await;
    world.forwarder.set_peers(peers());
    world.configure_forwarder(world.forwarder_config()).await;
    world.tunnel_is_up().await;
    // Each has been hung up on by then, at once or when its time was over.
    for mut stranger in strangers {
        let mut heard = Vec::new();
        let _ = timeout(PATIENCE, stranger.read_to_end(&mut heard))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn an_ssh_port_that_somebody_else_has_is_named_and_taken_over_when_it_is_free() {
    let network = Network::start();
    let squatter = network.gateway.run(bind(GATEWAY)).await;
    let gateway = start_gateway(&network, &PrivateKey::generate(), "172.30.0.1:2022").await;
    let mut report = gateway.report();
    let SshState::Failed(said) = report.borrow().ssh.clone() else {
        panic!("it listens on a port that is taken");
    };
    assert!(
        said.contains("172.30.0.1:2022") && said.contains("in use"),
        "{said}"
    );
    drop(squatter);
    let free = report.wait_for(|report| report.ssh == SshState::Listening);
    timeout(PATIENCE, free).await.unwrap().unwrap();
    let dialled = network
        .cluster
        .run(connect(Ipv4Addr::new(172, 30, 0, 2), GATEWAY))
        .await;
    assert!(dialled.is_ok());
}
