//! How flows end: a FIN is a FIN, everything else is a reset, each half has its own end.

use std::io::ErrorKind;

use tokio::io::AsyncWriteExt;

use crate::world::{STRANGER, World, read_to_end};

/// Bytes that no two places of have in common.
fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 + at / 251) as u8).collect()
}

#[tokio::test]
async fn the_server_goes_on_after_the_client_has_finished() {
    let world = World::start().await;
    let target = world.target().await;
    let (mut client, mut server) = world.flow(&target).await;
    client.write_all(b"all of it?").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut server).await.unwrap(), b"all of it?");
    let answer = bytes(16 << 20);
    let expected = answer.clone();
    let writing = tokio::spawn(async move {
        server.write_all(&answer).await.unwrap();
    });
    assert!(read_to_end(&mut client).await.unwrap() == expected);
    writing.await.unwrap();
}

#[tokio::test]
async fn the_client_goes_on_after_the_server_has_finished() {
    let world = World::start().await;
    let target = world.target().await;
    let (mut client, mut server) = world.flow(&target).await;
    server.write_all(b"go ahead").await.unwrap();
    server.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut client).await.unwrap(), b"go ahead");
    let upload = bytes(16 << 20);
    let expected = upload.clone();
    let writing = tokio::spawn(async move {
        client.write_all(&upload).await.unwrap();
    });
    assert!(read_to_end(&mut server).await.unwrap() == expected);
    writing.await.unwrap();
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
