//! How flows end: a FIN is a FIN, everything else is a reset, each half has its own end.

use std::io::ErrorKind;

use tokio::io::AsyncWriteExt;

use crate::world::{STRANGER, World, read_to_end, receive_pattern, send_pattern};

/// Bytes that follow the end of the other half.
const MUCH: usize = 1 << 30;
const SOME: usize = 16 << 20;

#[tokio::test]
async fn a_gibibyte_follows_after_the_client_has_finished() {
    let world = World::start().await;
    let target = world.target().await;
    let (mut client, mut server) = world.flow(&target).await;
    client.write_all(b"all of it?").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut server).await.unwrap(), b"all of it?");
    tokio::join!(
        send_pattern(&mut server, MUCH),
        receive_pattern(&mut client, MUCH)
    );
}

#[tokio::test]
async fn the_client_goes_on_after_the_server_has_finished() {
    let world = World::start().await;
    let target = world.target().await;
    let (mut client, mut server) = world.flow(&target).await;
    server.write_all(b"go ahead").await.unwrap();
    server.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut client).await.unwrap(), b"go ahead");
    tokio::join!(
        send_pattern(&mut client, SOME),
        receive_pattern(&mut server, SOME)
    );
}

#[tokio::test]
async fn a_peer_that_is_no_listed_pod_is_reset_and_the_server_sees_nothing() {
    let world = World::start().await;
    let target = world.target().await;
    let mut client = world.pod_connects(STRANGER).await;
    let ended = read_to_end(&mut client).await;
    assert_eq!(ended, Err((ErrorKind::ConnectionReset, 0)));
    assert_eq!(world.broken("unknown_peer"), 1);
    // The next one to be accepted is a listed pod's.
    world.flow(&target).await;
}
