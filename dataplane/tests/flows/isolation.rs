//! A flow that is not read costs itself and nobody else.

use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::world::{PATIENCE, World, receive_pattern, send_pattern};

/// Writes until nothing is taken for a while: everything between the two ends is full.
pub async fn fill(stream: &mut TcpStream) -> usize {
    let chunk = vec![0x5a; 1 << 16];
    let mut written = 0;
    while let Ok(taken) = timeout(Duration::from_secs(1), stream.write(&chunk)).await {
        written += taken.unwrap();
    }
    written
}

async fn echo_works(client: &mut TcpStream, server: &mut TcpStream) -> Duration {
    let began = Instant::now();
    let mut heard = [0; 5];
    client.write_all(b"hello").await.unwrap();
    timeout(PATIENCE, server.read_exact(&mut heard))
        .await
        .unwrap()
        .unwrap();
    server.write_all(&heard).await.unwrap();
    timeout(PATIENCE, client.read_exact(&mut heard))
        .await
        .unwrap()
        .unwrap();
    began.elapsed()
}

#[tokio::test]
async fn readers_that_are_stuck_hold_up_no_other_flow_and_no_new_one() {
    let world = World::start().await;
    let target = world.target().await;
    let (mut client, mut server) = world.flow(&target).await;
    let mut stuck = Vec::new();
    for downwards in [true, false, true, false] {
        let (mut client, mut server) = world.flow(&target).await;
        let sender = if downwards { &mut server } else { &mut client };
        let written = fill(sender).await;
        assert!(written < 64 << 20, "{written} bytes are somewhere");
        stuck.push((client, server));
    }
    for _ in 0..20 {
        let took = echo_works(&mut client, &mut server).await;
        assert!(took < Duration::from_secs(1), "{took:?}");
        let (mut client, mut server) = world.flow(&target).await;
        echo_works(&mut client, &mut server).await;
    }
    // One that begins to read gets all that waits for it.
    let (mut client, _server) = stuck.remove(0);
    let mut bytes = vec![0; 1 << 20];
    timeout(PATIENCE, client.read_exact(&mut bytes))
        .await
        .unwrap()
        .unwrap();
}

/// Flows that live beside a stuck reader, and for how long.
const LIVE: usize = 50;
const LIVING: Duration = Duration::from_secs(60);
/// Longest time that a message and its answer may take, on a machine that has other things to do.
const ROUND: Duration = Duration::from_secs(2);

#[tokio::test]
async fn fifty_flows_live_beside_a_stuck_reader_for_a_minute_of_new_keys() {
    let world = World::start_with(|forwarder, gateway| {
        forwarder.connections = 1;
        // Keys are exchanged every few seconds.
        forwarder.rekey_after = 1 << 20;
        gateway.rekey_after = 1 << 20;
    })
    .await;
    let target = world.target().await;
    let (mut stuck, _reader) = world.flow(&target).await;
    fill(&mut stuck).await;
    let mut living = JoinSet::new();
    for _ in 0..LIVE {
        let (mut client, mut server) = world.flow(&target).await;
        living.spawn(async move {
            let began = Instant::now();
            let mut longest = Duration::ZERO;
            while began.elapsed() < LIVING {
                longest = longest.max(echo_works(&mut client, &mut server).await);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            longest
        });
    }
    let longest = living.join_all().await.into_iter().max().unwrap();
    assert!(longest < ROUND, "one took {longest:?}");
    assert_eq!(world.broken("tunnel_lost"), 0);
}

/// Sixteen flows that each carry `len` bytes both ways through small buffers.
async fn sixteen_flows_both_ways(world: &World, len: usize) {
    let target = world.target().await;
    let mut transfers = JoinSet::new();
    for _ in 0..16 {
        let (client, server) = world.flow(&target).await;
        for stream in [client, server] {
            let socket = SockRef::from(&stream);
            socket.set_send_buffer_size(64 << 10).unwrap();
            socket.set_recv_buffer_size(64 << 10).unwrap();
            let (mut reader, mut writer) = stream.into_split();
            transfers.spawn(async move { send_pattern(&mut writer, len).await });
            transfers.spawn(async move { receive_pattern(&mut reader, len).await });
        }
    }
    let all = timeout(6 * PATIENCE, transfers.join_all()).await;
    all.expect("no transfer stands still");
}

#[tokio::test]
async fn sixteen_flows_both_ways_at_once_through_small_buffers_complete() {
    sixteen_flows_both_ways(&World::start().await, 24 << 20).await;
}

#[tokio::test]
async fn keys_are_exchanged_again_and_again_under_two_way_load() {
    let world = World::start_with(|forwarder, gateway| {
        // One connection carries all, and each end asks for new keys a dozen times.
        forwarder.connections = 1;
        forwarder.rekey_after = 16 << 20;
        gateway.rekey_after = 16 << 20;
    })
    .await;
    sixteen_flows_both_ways(&world, 24 << 20).await;
    // The connection is the one that it was at the beginning.
    assert_eq!(world.broken("tunnel_lost"), 0);
}
