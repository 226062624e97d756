use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::patch;
use k8s_openapi::api::core::v1::Node;
use kube::Client;
use serde_json::{Value, json};

use super::*;

/// The end of the API server: notes each write of a status, and may refuse.
#[derive(Clone, Default)]
struct Server {
    writes: Arc<Mutex<Vec<(Instant, String, Value)>>>,
    refusing: Arc<Mutex<bool>>,
}

impl Server {
    fn client(&self) -> Client {
        let router = Router::new()
            .route("/api/v1/nodes/{name}/status", patch(Self::write))
            .with_state(self.clone());
        Client::new(router, "default")
    }

    async fn write(
        State(server): State<Self>,
        Path(name): Path<String>,
        body: Bytes,
    ) -> (StatusCode, String) {
        let object: Value = serde_json::from_slice(&body).unwrap();
        let status = object["status"].clone();
        let mut writes = server.writes.lock().unwrap();
        writes.push((Instant::now(), name, status));
        match *server.refusing.lock().unwrap() {
            true => (StatusCode::FORBIDDEN, "{}".into()),
            // What the API server makes of the status does not matter here.
            false => (
                StatusCode::OK,
                json!({"metadata": object["metadata"]}).to_string(),
            ),
        }
    }

    /// Waits for a number of writes in all, then says what they were.
    async fn writes(&self, number: usize) -> Vec<String> {
        while self.writes.lock().unwrap().len() < number {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.written()
    }

    fn written(&self) -> Vec<String> {
        let writes = self.writes.lock().unwrap();
        let line = |(_, name, status): &(Instant, String, Value)| format!("{name} {status}");
        writes.iter().map(line).collect()
    }
}

struct Ends {
    server: Server,
    told_tx: watch::Sender<Told<u32>>,
    heard_tx: watch::Sender<Heard<u32>>,
}

fn publisher(heard: Heard<u32>) -> Ends {
    let server = Server::default();
    let nodes: Api<Node> = Api::all(server.client());
    let (told_tx, told) = watch::channel(Told::new());
    let (heard_tx, heard) = watch::channel(heard);
    tokio::spawn(Publisher::new(nodes, "test").keep(told, heard, |n| json!(n)));
    Ends {
        server,
        told_tx,
        heard_tx,
    }
}

fn told(name: &str, value: u32) -> Told<u32> {
    Told::from([(name.into(), value)])
}

fn heard(name: &str, value: Option<u32>) -> Heard<u32> {
    Heard::from([(name.into(), value)])
}

#[tokio::test(start_paused = true)]
async fn what_is_told_is_written_once() {
    let ends = publisher(heard("a", None));
    ends.told_tx.send_replace(told("a", 1));
    assert_eq!(ends.server.writes(1).await, ["a 1"]);
    ends.heard_tx.send_replace(heard("a", Some(1)));
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(ends.server.written().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_object_is_written_when_it_appears() {
    let ends = publisher(Heard::new());
    ends.told_tx.send_replace(told("a", 1));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(ends.server.written(), [""; 0]);
    ends.heard_tx.send_replace(heard("a", None));
    assert_eq!(ends.server.writes(1).await, ["a 1"]);
}

#[tokio::test(start_paused = true)]
async fn what_vanishes_or_is_changed_by_others_is_written_again() {
    let ends = publisher(heard("a", None));
    ends.told_tx.send_replace(told("a", 1));
    ends.server.writes(1).await;
    ends.heard_tx.send_replace(heard("a", None));
    ends.server.writes(2).await;
    ends.heard_tx.send_replace(heard("a", Some(7)));
    assert_eq!(ends.server.writes(3).await, ["a 1", "a 1", "a 1"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_there_already_is_not_written() {
    let ends = publisher(heard("a", Some(1)));
    ends.told_tx.send_replace(told("a", 1));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(ends.server.written(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn refusals_are_retried_ever_more_slowly() {
    let ends = publisher(heard("a", None));
    *ends.server.refusing.lock().unwrap() = true;
    ends.told_tx.send_replace(told("a", 1));
    tokio::time::sleep(Duration::from_secs(120)).await;
    let refused = ends.server.written().len();
    assert!((5..20).contains(&refused), "{refused} writes in 2 minutes");
    *ends.server.refusing.lock().unwrap() = false;
    ends.server.writes(refused + 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_quarrel_about_one_object_does_not_delay_another() {
    let both = |a| Heard::from([("a".to_owned(), a), ("b".to_owned(), None)]);
    let ends = publisher(both(None));
    ends.told_tx.send_replace(told("a", 1));
    for round in 1..=6 {
        ends.server.writes(round).await;
        ends.heard_tx.send_replace(both(Some(7)));
    }
    let began = Instant::now();
    let both = [("a".to_owned(), 1), ("b".to_owned(), 2)];
    ends.told_tx.send_replace(Told::from(both));
    while !ends.server.written().contains(&"b 2".to_owned()) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(
        began.elapsed() < Duration::from_millis(100),
        "{:?}",
        began.elapsed()
    );
}
