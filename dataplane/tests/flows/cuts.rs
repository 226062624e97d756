//! A tunnel that is cut at any byte while flows are under way: what arrived is a beginning of what
//! was sent, and nobody takes it for all of it.

use std::io::{self, ErrorKind};
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::world::{GATEWAY, PATIENCE, Pattern, World, bind, reset};

const FLOWS: usize = 100;
const CUTS: usize = 6;
/// A cut comes before so many bytes have gone through the tunnel.
const WITHIN: i64 = 8 << 20;

/// How the connection under a tunnel ends.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// As if its end were meant.
    Fin,
    Reset,
}

/// Bytes that may still go through, both ways together.
type Left = Arc<AtomicI64>;

/// Stands between forwarder and gateway.
async fn stand_between(listener: TcpListener, left: Left, cut: Cut) {
    loop {
        let (near, _) = listener.accept().await.unwrap();
        let far = TcpStream::connect(GATEWAY).await.unwrap();
        let (near_read, near_write) = near.into_split();
        let (far_read, far_write) = far.into_split();
        let (mut up, mut down) = ((near_read, far_write), (far_read, near_write));
        tokio::select! {
            _ = pass(&mut up, &left) => {}
            _ = pass(&mut down, &left) => {}
        }
        if let Cut::Reset = cut {
            reset(up.0.reunite(down.1).unwrap());
            reset(down.0.reunite(up.1).unwrap());
        }
    }
}

async fn pass((from, to): &mut (OwnedReadHalf, OwnedWriteHalf), left: &Left) -> io::Result<()> {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let read = from.read(&mut buffer).await?;
        let allowed = left.fetch_sub(read as i64, Ordering::Relaxed);
        let allowed = read.min(usize::try_from(allowed).unwrap_or(0));
        to.write_all(&buffer[..allowed]).await?;
        if allowed < read || read == 0 {
            return Ok(());
        }
    }
}

/// Sends until it is cut.
async fn sends(mut stream: TcpStream, flow: usize) {
    let pattern = Pattern::new();
    // Chunks that end at other places than everybody else's.
    let len = 1000 + 37 * flow;
    let mut sent = flow;
    while stream.write_all(pattern.at(sent, len)).await.is_ok() {
        sent += len;
    }
}

/// Reads until it is cut; how much.
async fn receives(mut stream: TcpStream, flow: usize) -> usize {
    let pattern = Pattern::new();
    let mut buffer = vec![0; 1 << 16];
    let mut arrived = flow;
    loop {
        let read = timeout(PATIENCE, stream.read(&mut buffer)).await;
        match read.expect("it ends in time") {
            Ok(0) => panic!("flow {flow} ended cleanly at {arrived}"),
            Ok(read) => {
                let expected = pattern.at(arrived, read);
                assert!(&buffer[..read] == expected, "flow {flow} at {arrived}");
                arrived += read;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionReset, "flow {flow}");
                return arrived - flow;
            }
        }
    }
}

#[tokio::test]
async fn a_hundred_flows_of_a_tunnel_that_is_cut_anywhere_are_prefixes_that_end_in_a_reset() {
    let seed = rand::rng().random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let world = World::start_with(|forwarder, _| forwarder.connections = 1).await;
    let target = world.target().await;
    for number in 0..CUTS {
        let cut = [Cut::Fin, Cut::Reset][number % 2];
        let left = Left::new(i64::MAX.into());
        let address = SocketAddrV4::new(*GATEWAY.ip(), 3000 + number as u16);
        let listener = world.network.gateway.run(bind(address)).await;
        let between = stand_between(listener, Arc::clone(&left), cut);
        let between = world.network.gateway.spawn(between);
        let mut config = world.forwarder_config();
        for endpoint in config.gateways.values_mut() {
            endpoint.address = address;
        }
        world.configure_forwarder(config).await;
        world.tunnel_is_up().await;
        let (mut sending, mut receiving) = (JoinSet::new(), JoinSet::new());
        let mut flows = Vec::new();
        for _ in 0..FLOWS {
            flows.push(world.flow(&target).await);
        }
        let position = random.random_range(0..WITHIN);
        left.store(position, Ordering::Relaxed);
        for (flow, (client, server)) in flows.into_iter().enumerate() {
            // Half of them upwards, half of them downwards.
            let (from, to) = if flow % 2 == 0 {
                (client, server)
            } else {
                (server, client)
            };
            sending.spawn(sends(from, flow));
            receiving.spawn(receives(to, flow));
        }
        let arrived: usize = receiving.join_all().await.into_iter().sum();
        sending.join_all().await;
        assert!(
            arrived as i64 <= position,
            "{arrived} bytes arrived of {position}"
        );
        between.abort();
    }
}
