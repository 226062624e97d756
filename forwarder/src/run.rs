//! Follows the Forwarder object, the pods and the node addresses; hands them to the data plane
//! and its report back to the API.

use std::sync::Arc;

use anyhow::Context;
use extconn_agent::client;
use extconn_agent::probes::{self, Readiness};
use extconn_agent::termination::Termination;
use extconn_agent::view;
use extconn_dataplane::forwarder::{Forwarder, ForwarderOptions};
use extconn_dataplane::identity::PrivateKey;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use crate::agent::{Agent, Clients};
use crate::args::Args;
use crate::inquiry;
use crate::metrics::Meters;

/// Runs until SIGTERM and the drain after it.
///
/// Errors if it cannot even start: no API credential, or the probe port is taken.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let mut termination = Termination::listen().context("take over SIGTERM")?;
    let config = kube::Config::infer()
        .await
        .context("find out how to reach the Kubernetes API")?;
    let clients = clients(config).context("make a client of the Kubernetes API")?;
    // In memory only: there is nothing to steal, and a restart is a new key.
    let key = PrivateKey::generate();
    let public_key = key.public_key();
    let plane = Arc::new(Forwarder::start(ForwarderOptions::new(key)));
    let (meters, rendered) = Meters::registered(&plane);
    let inquiries = inquiry::routes(Arc::clone(&plane));
    let (readiness_tx, readiness) = watch::channel(Readiness::NotReady("starting".to_owned()));
    let probes = probes::serve_with(args.http_address(), readiness, rendered, inquiries).await?;

    let (bell, mut rung) = view::bell();
    let mut agent = Agent::start(
        &args,
        plane,
        public_key,
        clients,
        bell,
        readiness_tx,
        meters,
    );
    let mut report = agent.plane.report();
    let mut last_call = None;
    loop {
        agent.pass().await;
        tokio::select! {
            _ = rung.changed() => {}
            _ = report.changed() => {}
            () = sleep_until(agent.wake_at()) => {}
            signal = termination.requested(), if last_call.is_none() => {
                info!(signal, linger = args.linger, drain = args.drain, "terminating");
                agent.terminating = true;
                last_call = Some(Instant::now() + args.linger());
            }
            () = sleep_until(last_call.unwrap_or_else(Instant::now)), if last_call.is_some() => break,
        }
    }
    tokio::select! {
        () = agent.drain(args.drain()) => info!("drained"),
        signal = termination.requested() => warn!(signal, "cutting what is left"),
    }
    agent.withdraw().await;
    probes.abort();
    Ok(())
}

fn clients(config: kube::Config) -> Result<Clients, kube::Error> {
    Ok(Clients {
        own: client::bounded(config.clone())?,
        rationed: client::rationed(config)?,
    })
}
