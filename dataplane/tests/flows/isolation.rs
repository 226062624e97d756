//! A flow that is not read costs itself and nobody else.

use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::world::{PATIENCE, World};

/// Writes until nothing is taken for a while: everything between the two ends is full.
async fn fill(stream: &mut TcpStream) -> usize {
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

#[tokio::test]
async fn eight_flows_both_ways_at_once_through_small_buffers_complete() {
    const LEN: usize = 24 << 20;
    let world = World::start().await;
    let target = world.target().await;
    let mut transfers = JoinSet::new();
    for _ in 0..8 {
        let (client, server) = world.flow(&target).await;
        for stream in [client, server] {
            SockRef::from(&stream)
                .set_send_buffer_size(64 << 10)
                .unwrap();
            SockRef::from(&stream)
                .set_recv_buffer_size(64 << 10)
                .unwrap();
            let (mut reader, mut writer) = stream.into_split();
            transfers.spawn(async move {
                let chunk: Vec<u8> = (0..1 << 16).map(|at| at as u8).collect();
                for _ in 0..LEN / chunk.len() {
                    writer.write_all(&chunk).await.unwrap();
                }
                writer.shutdown().await.unwrap();
            });
            transfers.spawn(async move {
                let mut bytes = Vec::new();
                reader.read_to_end(&mut bytes).await.unwrap();
                assert_eq!(bytes.len(), LEN);
                assert!(bytes.iter().enumerate().all(|(at, byte)| *byte == at as u8));
            });
        }
    }
    timeout(6 * PATIENCE, transfers.join_all())
        .await
        .expect("no transfer stands still");
}
