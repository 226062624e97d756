//! Peers that go away without a word: their link is cut, and nobody says so.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use extconn_dataplane::forwarder::Pod;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::host::Host;
use crate::isolation::fill;
use crate::world::{FORWARDER, LISTEN, PATIENCE, SOURCE_IP_1, World, connect, exchange, peers};

/// A pod with a link of its own.
const POD_3: Ipv4Addr = Ipv4Addr::new(10, 244, 1, 7);

/// Time within which a flow ends whose peer has vanished, idle or with bytes on their way.
const NOTICED: Duration = Duration::from_secs(75);
/// Longer than a peer that vanished is waited for.
const STUCK: Duration = Duration::from_secs(90);

async fn pod_with_a_link(world: &World) -> Host {
    let pod = Host::start("pod");
    let cluster = &world.network.cluster;
    cluster.connect("pod", &pod, "eth0");
    cluster.ip(&format!("route add {POD_3}/32 dev pod"));
    pod.ip(&format!("address add {POD_3}/32 dev eth0"));
    pod.ip("route add default dev eth0");
    let mut listed = peers();
    let entry = Pod {
        name: "ns3/my-pod3".to_owned(),
        uid: "uid-3".to_owned(),
        source_ip: SOURCE_IP_1,
    };
    listed.pods.insert(POD_3, entry);
    world.forwarder.set_peers(listed);
    pod
}

async fn flow(pod: &Host, target: &TcpListener) -> (TcpStream, TcpStream) {
    let dial = connect(POD_3, SocketAddrV4::new(FORWARDER, LISTEN));
    let client = pod.run(dial).await.unwrap();
    let accepted = timeout(PATIENCE, target.accept()).await.unwrap();
    let (mut client, mut server) = (client, accepted.unwrap().0);
    exchange(&mut client, &mut server).await;
    (client, server)
}

/// Nothing but a reset comes, and in time.
async fn is_reset_in_time(mut stream: TcpStream) {
    let mut bytes = Vec::new();
    let ended = timeout(NOTICED, stream.read_to_end(&mut bytes)).await;
    let error = ended.expect("in time").expect_err("no clean end");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

async fn flows_of_a_pod_whose_link_is_gone_end() {
    let world = World::start().await;
    let target = world.target().await;
    let pod = pod_with_a_link(&world).await;
    let (_idle, server_of_idle) = flow(&pod, &target).await;
    let (_answered, mut server_of_answered) = flow(&pod, &target).await;
    let (_full, mut server_of_full) = flow(&pod, &target).await;
    // Its reader is stuck when it vanishes.
    fill(&mut server_of_full).await;
    pod.ip("link set eth0 down");
    server_of_answered.write_all(b"answer").await.unwrap();
    tokio::join!(
        is_reset_in_time(server_of_idle),
        is_reset_in_time(server_of_answered),
        is_reset_in_time(server_of_full),
    );
    assert!(world.broken("timed_out") + world.broken("peer_reset") >= 3);
}

async fn flows_to_a_target_whose_link_is_gone_end() {
    let world = World::start().await;
    let target = world.target().await;
    let (idle, _server_of_idle) = world.flow(&target).await;
    let (mut asking, _server_of_asking) = world.flow(&target).await;
    let (mut full, _server_of_full) = world.flow(&target).await;
    fill(&mut full).await;
    world.network.outside.ip("link set lan down");
    asking.write_all(b"request").await.unwrap();
    tokio::join!(
        is_reset_in_time(idle),
        is_reset_in_time(asking),
        is_reset_in_time(full),
    );
}

async fn readers_that_are_stuck_and_alive_are_waited_for() {
    let world = World::start().await;
    let target = world.target().await;
    let (mut client, mut server) = world.flow(&target).await;
    let asked = fill(&mut client).await;
    let (mut reader, mut writer) = world.flow(&target).await;
    let answered = fill(&mut writer).await;
    tokio::time::sleep(STUCK).await;
    for (stream, bytes) in [(&mut server, asked), (&mut reader, answered)] {
        let mut all = vec![0; bytes];
        let read = timeout(PATIENCE, stream.read_exact(&mut all)).await;
        read.unwrap().unwrap();
    }
    exchange(&mut client, &mut server).await;
}

/// Together, since each of them waits for more than a minute.
#[tokio::test]
async fn flows_of_peers_that_vanished_end_within_75_seconds_and_those_of_stuck_ones_do_not() {
    tokio::join!(
        flows_of_a_pod_whose_link_is_gone_end(),
        flows_to_a_target_whose_link_is_gone_end(),
        readers_that_are_stuck_and_alive_are_waited_for(),
    );
}
