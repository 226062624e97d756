//! `extconn-operator run`: puts the parts together and stops them in order.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use extconn_api::names;
use kube::{Client, Config};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::cli::RunOptions;
use crate::controller::{self, Context, orphans, stores};
use crate::leader::Elector;
use crate::metrics::Meters;
use crate::probes::Readiness;
use crate::settings::Settings;
use crate::{node_addresses, permissions, probes, reporting};

/// A watch is closed by the API server after 290 seconds at the latest: an answer that takes
/// longer never comes.
const WATCH_TIMEOUT: Duration = Duration::from_secs(295);

/// How long any other request may stay without an answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// How long what has begun may go on when told to stop. What is cut off is done by the next one.
const FINISHING: Duration = Duration::from_secs(5);

/// Reconciles until SIGTERM or SIGINT, whenever no other operator does.
///
/// # Errors
/// No way to the API server is configured, the probes' port is taken, or another operator has
/// taken over. An API server that cannot be reached is waited for.
pub async fn run(options: RunOptions, connector_namespace: String) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    tokio::spawn(stop_on_signal(stop.clone())?);

    let meters = Arc::new(Meters::default());
    let (readiness_tx, readiness_rx) = watch::channel(Readiness::Starting);
    let probes = probes::serve(
        options.http_listen,
        readiness_rx,
        meters.renderer(),
        stop.clone().cancelled_owned(),
    );
    let client = request_client().await?;
    let identity = options.identity.clone().unwrap_or_else(random_identity);
    let mut elector = Elector::new(client.clone(), &connector_namespace, identity);
    tracing::info!(namespace = %connector_namespace, "starting");

    let acting = async {
        let standing_by = || {
            readiness_tx.send_replace(Readiness::StandingBy);
        };
        tokio::select! {
            () = elector.acquire(standing_by) => {}
            () = stop.cancelled() => {
                elector.release().await;
                return Ok(());
            }
        }
        let settings = options.settings(connector_namespace);
        let acting = act(
            settings,
            options.concurrency,
            client,
            &readiness_tx,
            meters,
            &stop,
        );
        let ended = tokio::select! {
            result = acting => result,
            // Without another word: whatever is under way is dropped.
            lost = elector.keep() => return lost,
        };
        elector.release().await;
        ended
    };
    let ended = tokio::select! {
        ended = acting => ended,
        Err(error) = probes => Err(error),
    };
    tracing::info!("stopped");
    ended
}

/// Reconciles until `stop`, and finishes what has begun.
async fn act(
    settings: Settings,
    concurrency: u16,
    client: Client,
    readiness_tx: &watch::Sender<Readiness>,
    meters: Arc<Meters>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let watch_client = self::client(WATCH_TIMEOUT).await?;
    let (stores, mut watches, nodes) = stores::watch(&watch_client, &settings.connector_namespace);
    meters.leads(stores.clone());
    let context = Arc::new(Context::new(client, settings, stores.clone(), meters));
    let bell = Arc::new(Notify::new());
    watches.services = permissions::ringing(watches.services, bell.clone());
    watches.gateways = permissions::ringing(watches.gateways, bell.clone());
    let nodes = tokio::spawn(node_addresses::publish(
        watch_client.clone(),
        context.clone(),
        nodes,
    ));
    let permissions = tokio::spawn(permissions::publish(
        watch_client.clone(),
        context.clone(),
        bell,
    ));
    let silence = tokio::spawn(reporting::follow(watch_client, context.clone()));
    let sweep = tokio::spawn(orphans::sweep(context.clone()));
    let controller = controller::run(
        context,
        watches,
        concurrency,
        stop.clone().cancelled_owned(),
    );
    let started = async {
        // An error means that the watches have ended: the process is stopping.
        if stores.wait_until_ready().await.is_ok() {
            tracing::info!("all watches have started");
            readiness_tx.send_replace(Readiness::Leading);
        }
        std::future::pending::<()>().await
    };
    let too_long = async {
        stop.cancelled().await;
        // Before all watches have started nothing has begun, and kube's Controller would wait for
        // ever for the watch that it has stopped itself.
        if stores.are_ready() {
            tokio::time::sleep(FINISHING).await;
            let seconds = FINISHING.as_secs();
            tracing::warn!(seconds, "cutting off what had begun and has not finished");
        }
    };
    tokio::select! {
        // The controller ends only when told to.
        () = controller => {}
        () = started => {}
        () = too_long => {}
    }
    nodes.abort();
    permissions.abort();
    sweep.abort();
    silence.abort();
    Ok(())
}

fn random_identity() -> String {
    format!("{}-{:08x}", names::OPERATOR_LEASE, rand::random::<u32>())
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
