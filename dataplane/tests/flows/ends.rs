//! How flows end: a FIN is a FIN, everything else is a reset, each half has its own end.

use std::io::ErrorKind;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{POD_1, STRANGER, World, read_to_end};

/// Bytes that no two places of have in common.
fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 + at / 251) as u8).collect()
}

fn reset(stream: TcpStream) {
    SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
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
async fn a_reset_of_either_side_is_a_reset_of_the_other_behind_what_was_sent() {
    let world = World::start().await;
    let target = world.target().await;
    for reset_by_client in [true, false] {
        let (client, server) = world.flow(&target).await;
        let (mut sender, mut receiver) = if reset_by_client {
            (client, server)
        } else {
            (server, client)
        };
        sender.write_all(b"so far").await.unwrap();
        let mut so_far = [0; 6];
        receiver.read_exact(&mut so_far).await.unwrap();
        reset(sender);
        let ended = read_to_end(&mut receiver).await;
        assert_eq!(ended, Err((ErrorKind::ConnectionReset, 0)));
    }
}

#[tokio::test]
async fn a_reset_after_a_finish_is_still_a_reset() {
    let world = World::start().await;
    let target = world.target().await;
    let (mut client, mut server) = world.flow(&target).await;
    client.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut server).await.unwrap(), b"");
    server.write_all(b"part of it").await.unwrap();
    let mut part = [0; 10];
    client.read_exact(&mut part).await.unwrap();
    reset(server);
    let ended = read_to_end(&mut client).await;
    assert_eq!(ended, Err((ErrorKind::ConnectionReset, 0)));
}

#[tokio::test]
async fn a_refused_connection_is_reset_and_counted() {
    let world = World::start().await;
    // Nobody listens there.
    let mut client = world.pod_connects(POD_1).await;
    client.write_all(b"hello").await.unwrap();
    let ended = read_to_end(&mut client).await;
    assert_eq!(ended, Err((ErrorKind::ConnectionReset, 0)));
    assert_eq!(world.broken("refused"), 1);
}

#[tokio::test]
async fn a_missing_source_ip_is_reset_and_counted_until_it_is_there() {
    let world = World::start().await;
    let target = world.target().await;
    world
        .network
        .gateway
        .ip("address del 192.0.2.10/32 dev lan");
    let mut client = world.pod_connects(POD_1).await;
    let ended = read_to_end(&mut client).await;
    assert_eq!(ended, Err((ErrorKind::ConnectionReset, 0)));
    assert_eq!(world.broken("source_ip_missing"), 1);
    world
        .network
        .gateway
        .ip("address add 192.0.2.10/32 dev lan");
    world.flow(&target).await;
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
