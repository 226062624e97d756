//! From a pod to the external server.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::world::{PATIENCE, POD_1, POD_2, SOURCE_IP_1, SOURCE_IP_2, World};

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
