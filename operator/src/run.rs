//! `extconn-operator run`: puts the parts together and stops them in order.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use kube::{Client, Config};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::cli::RunOptions;
use crate::controller::{self, Context, orphans, stores};
use crate::metrics::Meters;
use crate::{node_addresses, probes, reporting};

/// A watch is closed by the API server after 290 seconds at the latest: an answer that takes
/// longer never comes.
const WATCH_TIMEOUT: Duration = Duration::from_secs(295);

/// How long any other request may stay without an answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// Reconciles until SIGTERM or SIGINT.
///
/// # Errors
/// No way to the API server is configured, or the probes' port is taken. An API server that
/// cannot be reached is waited for.
pub async fn run(options: RunOptions, connector_namespace: String) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    tokio::spawn(stop_on_signal(stop.clone())?);

    let watch_client = client(WATCH_TIMEOUT).await?;
    let (stores, watches) = stores::watch(&watch_client, &connector_namespace);
    let settings = options.settings(connector_namespace.clone());
    let meters = Arc::new(Meters::default());
    meters.leads(stores.clone());
    let context = Arc::new(Context::new(
        client(REQUEST_TIMEOUT).await?,
        settings,
        stores.clone(),
        meters.clone(),
    ));
    tracing::info!(namespace = %connector_namespace, "starting");

    let (ready_tx, ready_rx) = watch::channel(false);
    tokio::spawn(async move {
        // An error means that the watches have ended: the process is stopping.
        if stores.wait_until_ready().await.is_ok() {
            tracing::info!("all watches have started");
            ready_tx.send_replace(true);
            std::future::pending::<()>().await;
        }
    });
    let nodes = tokio::spawn(node_addresses::publish(
        watch_client.clone(),
        context.clone(),
    ));
    let silence = tokio::spawn(reporting::follow(watch_client, context.clone()));
    let sweep = tokio::spawn(orphans::sweep(context.clone()));
    let probes = probes::serve(
        options.http_listen,
        ready_rx,
        meters.renderer(),
        stop.clone().cancelled_owned(),
    );
    let controller = controller::run(
        context,
        watches,
        options.concurrency,
        stop.clone().cancelled_owned(),
    );
    let probed = tokio::select! {
        // The controller ends only when told to, and finishes what it has begun.
        () = controller => Ok(()),
        Err(error) = probes => Err(error),
    };
    nodes.abort();
    sweep.abort();
    silence.abort();
    tracing::info!("stopped");
    probed
}

/// A client whose requests fail after `timeout` without an answer.
pub(crate) async fn client(timeout: Duration) -> anyhow::Result<Client> {
    let mut config = Config::infer()
        .await
        .context("failed to find out how to reach the API server")?;
    config.read_timeout = Some(timeout);
    Client::try_from(config).context("failed to make a client of the API server")
}

/// The client for anything but watches.
pub(crate) async fn request_client() -> anyhow::Result<Client> {
    client(REQUEST_TIMEOUT).await
}

fn stop_on_signal(
    stop: CancellationToken,
) -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("failed to listen for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        stop.cancel();
    })
}
