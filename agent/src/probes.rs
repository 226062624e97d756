//! `/healthz`, `/readyz` and `/metrics`.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Whether the process can do its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It can.
    Ready,
    /// It can, but something is not as it should be, in words.
    ReadyBut(String),
    /// It cannot, for a reason in words.
    NotReady(String),
}

/// Writes the metrics in Prometheus' text format.
pub type Metrics = Arc<dyn Fn() -> String + Send + Sync>;

/// A probe address that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("listen on {address} for health probes and metrics")]
pub struct ProbeError {
    address: SocketAddr,
    source: std::io::Error,
}

/// Serves the probes until the handle is aborted.
///
/// Errors if the address cannot be bound, so that a wrong one is found at the start.
pub async fn serve(
    address: SocketAddr,
    readiness: watch::Receiver<Readiness>,
    metrics: Metrics,
) -> Result<JoinHandle<()>, ProbeError> {
    serve_with(address, readiness, metrics, Router::new()).await
}

/// As [`serve`], with routes of the caller's own, which may ask for the peer's address.
///
/// Errors as [`serve`] does.
pub async fn serve_with(
    address: SocketAddr,
    readiness: watch::Receiver<Readiness>,
    metrics: Metrics,
    routes: Router,
) -> Result<JoinHandle<()>, ProbeError> {
    let refused = |source| ProbeError { address, source };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route(
            "/readyz",
            get(move || {
                let answer = readiness.borrow().clone();
                async move { answer }
            }),
        )
        .route(
            "/metrics",
            get(move || {
                let text = metrics();
                async move { ([(header::CONTENT_TYPE, METRICS_TYPE)], text) }
            }),
        )
        .merge(routes)
        .into_make_service_with_connect_info::<SocketAddr>();
    Ok(tokio::spawn(async move {
        // Accept errors are retried inside; it returns only when the listener is gone.
        let _ = axum::serve(listener, router).await;
    }))
}

const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl IntoResponse for Readiness {
    fn into_response(self) -> Response {
        match self {
            Readiness::Ready => (StatusCode::OK, "ok\n".to_owned()),
            Readiness::ReadyBut(remark) => (StatusCode::OK, format!("ok, but {remark}\n")),
            Readiness::NotReady(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
        }
        .into_response()
    }
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Readiness::Ready => f.write_str("ready"),
            Readiness::ReadyBut(remark) => write!(f, "ready, but {remark}"),
            Readiness::NotReady(reason) => write!(f, "not ready: {reason}"),
        }
    }
}
