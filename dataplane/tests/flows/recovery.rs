//! What breaks and comes back.

use std::io::ErrorKind;

use crate::world::{World, read_to_end, start_gateway};

#[tokio::test]
async fn a_gateway_that_went_away_and_came_back_is_used_again() {
    let mut world = World::start().await;
    let target = world.target().await;
    let (mut client, mut server) = world.flow(&target).await;
    let another = start_gateway(&world.network, &world.host_key, "172.30.0.1:2023").await;
    drop(std::mem::replace(&mut world.gateway, another.into()));
    let reset = Err((ErrorKind::ConnectionReset, 0));
    assert_eq!(read_to_end(&mut client).await, reset);
    assert_eq!(read_to_end(&mut server).await, reset);
    world.tunnel_is_down().await;
    world.gateway = start_gateway(&world.network, &world.host_key, "172.30.0.1:2022")
        .await
        .into();
    world.configure_gateway(world.gateway_config()).await;
    world.tunnel_is_up().await;
    world.flow(&target).await;
}

#[tokio::test]
async fn a_path_that_went_dead_is_noticed_and_its_flows_are_reset() {
    let world = World::start().await;
    let target = world.target().await;
    let (mut client, mut server) = world.flow(&target).await;
    world
        .network
        .gateway
        .command("iptables", "-I INPUT -p tcp --dport 2022 -j DROP");
    let began = std::time::Instant::now();
    let reset = Err((ErrorKind::ConnectionReset, 0));
    assert_eq!(read_to_end(&mut client).await, reset);
    assert_eq!(read_to_end(&mut server).await, reset);
    let noticed = began.elapsed();
    assert!(noticed.as_secs() < 6, "noticed after {noticed:?}");
    world.tunnel_is_down().await;
    world
        .network
        .gateway
        .command("iptables", "-D INPUT -p tcp --dport 2022 -j DROP");
    world.tunnel_is_up().await;
    world.flow(&target).await;
}
