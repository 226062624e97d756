//! `/healthz` and `/readyz` for the kubelet, `/metrics` for Prometheus.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How far the operator is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Not all watches have started, or nothing is known of the Lease yet.
    Starting,
    /// Another one acts; this one would take over.
    StandingBy,
    /// It acts, and all watches have started.
    Leading,
}

/// Serves the probes and metrics until `stop` resolves. `/healthz`: the process answers. `/readyz`: it acts,
/// or would take over.
///
/// # Errors
/// The address cannot be listened on.
pub async fn serve(
    listen: SocketAddr,
    readiness: watch::Receiver<Readiness>,
    metrics: Arc<dyn Fn() -> String + Send + Sync>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let readyz = async move || match *readiness.borrow() {
        Readiness::Leading => (StatusCode::OK, "ok: leading\n"),
        Readiness::StandingBy => (StatusCode::OK, "ok: standing by\n"),
        Readiness::Starting => (
            StatusCode::SERVICE_UNAVAILABLE,
            "not all watches have started\n",
        ),
    };
    let router = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route(
            "/metrics",
            get(async move || ([(header::CONTENT_TYPE, METRICS_TYPE)], metrics())),
        );
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("failed to listen on {listen} for probes"))?;
    axum::serve(listener, router)
        .with_graceful_shutdown(stop)
        .await?;
    Ok(())
}
