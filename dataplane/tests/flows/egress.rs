//! From a pod to the external server.

use std::time::{Duration, Instant};

use extconn_dataplane::forwarder::{LookedUp, Peers};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::world::{
    PATIENCE, POD_1, POD_2, SOURCE_IP_1, SOURCE_IP_2, World, exchange, peers, read_to_end,
};

#[tokio::test]
async fn each_pod_arrives_from_the_source_ip_of_its_service() {
    let world = World::start().await;
    let target = world.target().await;
    for (pod, source_ip) in [(POD_1, SOURCE_IP_1), (POD_2, SOURCE_IP_2)] {
        let mut client = world.pod_connects(pod).await;
        let (mut server, peer) = timeout(PATIENCE, target.accept()).await.unwrap().unwrap();
        assert_eq!(peer.ip(), source_ip);
        client.write_all(b"hello").await.unwrap();
        client.shutdown().await.unwrap();
        let mut heard = String::new();
        timeout(PATIENCE, server.read_to_string(&mut heard))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(heard, "hello");
        server.write_all(b"world").await.unwrap();
        drop(server);
        heard.clear();
        timeout(PATIENCE, client.read_to_string(&mut heard))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(heard, "world");
    }
}

#[tokio::test]
async fn a_pod_that_is_looked_up_has_what_it_opened_before_the_answer_and_nothing_later() {
    let world = World::start().await;
    let target = world.target().await;
    world.forwarder.set_peers(Peers::default());
    let mut strangers = world.forwarder.strangers();
    let before = Instant::now();
    let mut client = world.pod_connects(POD_1).await;
    let held = strangers.wait_for(|s| s.addresses().eq([POD_1]));
    drop(timeout(PATIENCE, held).await.unwrap());

    let found = LookedUp {
        pod: peers().pods[&POD_1].clone(),
        made: before,
        asked: Instant::now(),
    };
    let looked_up = |found: &LookedUp| Peers {
        looked_up: [(POD_1, found.clone())].into(),
        ..Peers::default()
    };
    world.forwarder.set_peers(looked_up(&found));
    let (mut server, peer) = timeout(PATIENCE, target.accept()).await.unwrap().unwrap();
    assert_eq!(peer.ip(), SOURCE_IP_1);
    exchange(&mut client, &mut server).await;
    assert_eq!(strangers.borrow_and_update().addresses().count(), 0);

    let over = found.asked + Duration::from_millis(500);
    tokio::time::sleep_until(over.into()).await;
    let mut later = world.pod_connects(POD_1).await;
    read_to_end(&mut later).await.unwrap_err();
    exchange(&mut client, &mut server).await;

    // Listed as itself it goes on; another pod at its address has nothing of it.
    world.forwarder.set_peers(peers());
    exchange(&mut client, &mut server).await;
    let mut other = found;
    other.pod.uid = "another".to_owned();
    world.forwarder.set_peers(looked_up(&other));
    read_to_end(&mut client).await.unwrap_err();
}
