//! Answers to `kubectl extconn test`, for callers from within this pod only: whoever may forward
//! ports to it. `docs/forwarder.md` describes them.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use extconn_dataplane::forwarder::{Forwarder, Opened, Outcome};
use serde::Serialize;

/// What came of a probe.
#[derive(Serialize)]
struct Probed {
    result: &'static str,
    bound: Option<SocketAddrV4>,
    milliseconds: u128,
}

/// A connection of a pod.
#[derive(Serialize)]
struct Flow {
    peer: SocketAddrV4,
    listen: u16,
    source_ip: Option<Ipv4Addr>,
    result: &'static str,
}

/// The routes.
pub fn routes(plane: Arc<Forwarder>) -> Router {
    Router::new()
        .route("/probe/{source_ip}/{destination}", get(probe))
        .route("/flows/{peer}", get(flows))
        .route_layer(middleware::from_fn(only_from_this_pod))
        .with_state(plane)
}

async fn only_from_this_pod(
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    if peer.ip().to_canonical().is_loopback() {
        next.run(request).await
    } else {
        (StatusCode::FORBIDDEN, "only from within the pod\n").into_response()
    }
}

async fn probe(
    State(plane): State<Arc<Forwarder>>,
    Path((source_ip, destination)): Path<(Ipv4Addr, SocketAddrV4)>,
) -> Response {
    let began = Instant::now();
    let probed = plane.probe(source_ip, destination).await;
    let milliseconds = began.elapsed().as_millis();
    let (result, bound) = match probed {
        Ok(bound) => ("ok", bound),
        Err(reason) => (reason.label(), None),
    };
    json(&Probed {
        result,
        bound,
        milliseconds,
    })
}

async fn flows(State(plane): State<Arc<Forwarder>>, Path(peer): Path<Ipv4Addr>) -> Response {
    let flow = |opened: Opened| Flow {
        peer: opened.peer,
        listen: opened.listen,
        source_ip: opened.source_ip,
        result: match opened.outcome {
            Outcome::Opening => "opening",
            Outcome::Accepted => "ok",
            Outcome::Refused(reason) => reason.label(),
        },
    };
    json(
        &plane
            .opened_by(peer)
            .into_iter()
            .map(flow)
            .collect::<Vec<_>>(),
    )
}

fn json<T: Serialize>(answer: &T) -> Response {
    match serde_json::to_string(answer) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use extconn_agent::probes::{self, Readiness};
    use extconn_dataplane::forwarder::ForwarderOptions;
    use extconn_dataplane::identity::PrivateKey;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::watch;

    use super::*;

    /// Status and body of the answer to a request for `path`, asked at `address`.
    async fn ask(address: SocketAddr, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), body.to_owned())
    }

    /// A forwarder that has nothing to do, and where it answers.
    async fn idle(ip: Ipv4Addr) -> SocketAddr {
        let port = std::net::TcpListener::bind((ip, 0))
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let plane = Arc::new(Forwarder::start(ForwarderOptions::new(
            PrivateKey::generate(),
        )));
        let (readiness_tx, readiness) = watch::channel(Readiness::Ready);
        let address = SocketAddr::from((ip, port));
        let routes = routes(plane);
        probes::serve_with(address, readiness, Arc::new(String::new), routes)
            .await
            .unwrap();
        // The test's runtime ends it.
        std::mem::forget(readiness_tx);
        address
    }

    #[tokio::test]
    async fn the_pod_itself_gets_answers() {
        let address = idle(Ipv4Addr::LOCALHOST).await;
        let (status, body) = ask(address, "/probe/192.0.2.10/203.0.113.7:8000").await;
        assert_eq!(status, 200, "{body}");
        assert!(
            body.contains(r#""result":"no_tunnel","bound":null"#),
            "{body}"
        );
        assert_eq!(
            ask(address, "/flows/10.244.1.5").await,
            (200, "[]".to_owned())
        );
        assert_eq!(ask(address, "/flows/nobody").await.0, 400);
        assert_eq!(ask(address, "/healthz").await.0, 200);
    }
}
