//! Tunnels that are cut while flows are under way: what arrived is a beginning of what was sent, and
//! nobody takes it for all of it.

use std::io::ErrorKind;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use crate::world::{Pattern, World, read_to_end};

const FLOWS: usize = 100;

#[tokio::test]
async fn a_hundred_flows_of_a_tunnel_that_is_cut_are_prefixes_that_end_in_a_reset() {
    let world = World::start().await;
    let target = world.target().await;
    let mut writing = JoinSet::new();
    let mut reading = JoinSet::new();
    for flow in 0..FLOWS {
        let (mut client, mut server) = world.flow(&target).await;
        // Each sends until it is cut, in chunks that end at other places than everybody else's.
        writing.spawn(async move {
            let pattern = Pattern::new();
            let len = 1000 + 37 * flow;
            let mut sent = flow;
            while client.write_all(pattern.at(sent, len)).await.is_ok() {
                sent += len;
            }
        });
        reading.spawn(async move {
            let pattern = Pattern::new();
            let mut buffer = vec![0; 1 << 16];
            let mut arrived = flow;
            let ended = loop {
                match server.read(&mut buffer).await {
                    Ok(0) => break None,
                    Ok(read) => {
                        let expected = pattern.at(arrived, read);
                        assert!(&buffer[..read] == expected, "flow {flow} at {arrived}");
                        arrived += read;
                    }
                    Err(error) => break Some(error.kind()),
                }
            };
            assert_eq!(ended, Some(ErrorKind::ConnectionReset), "flow {flow}");
            arrived - flow
        });
    }
    // Cut once bytes are on their way everywhere.
    let (mut probe, mut server) = world.flow(&target).await;
    probe.write_all(b"behind all the others").await.unwrap();
    probe.shutdown().await.unwrap();
    read_to_end(&mut server).await.unwrap();
    let cut = world.network.gateway.command("ss", "-K sport = :2022");
    assert!(cut.contains("2022"), "{cut}");
    let arrived: usize = reading.join_all().await.into_iter().sum();
    writing.join_all().await;
    assert!(arrived > 0);
}
