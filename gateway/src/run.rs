//! `run`: reads what is on the host, then follows the API until SIGTERM.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use extconn_agent::logs::causes;
use extconn_agent::probes::{self, Metrics, Readiness};
use extconn_agent::termination::Termination;
use extconn_agent::{client, view};
use extconn_dataplane::gateway::{Gateway, GatewayOptions};
use extconn_dataplane::identity::PrivateKey;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::task::AbortOnDropHandle;
use tracing::{error, info, warn};

use crate::addresses::Addresses;
use crate::agent::{Agent, Parts};
use crate::args::Args;
use crate::heartbeat::{Heartbeat, Pulse};
use crate::host_file::HostFile;
use crate::last_good::LastGood;
use crate::metrics::Meters;
use crate::notify::Notifier;
use crate::{credential, host_file, host_key};

/// File in the state folder: the source IPs that the gateway assigned.
pub const ASSIGNED: &str = "assigned.json";
const HOST_KEY: &str = "ssh_host_ed25519_key";
const LAST_GOOD: &str = "last-good.json";

/// How long a first start waits for the API before it calls itself started.
const FIRST_VIEW: Duration = Duration::from_secs(30);

/// Time before the port of probes and metrics is tried again when somebody else has it.
const PROBES_RETRY: Duration = Duration::from_secs(5);

/// Longest time between two passes: a look at everything even if nothing rang.
const LOOK: Duration = Duration::from_secs(30);

/// What a start needs from the host's files.
pub struct Setup {
    host: HostFile,
    host_name: String,
    state: PathBuf,
    host_key: PrivateKey,
    api: kube::Config,
    token_file: PathBuf,
}

impl Setup {
    /// Reads the files.
    ///
    /// Errors if one is missing or makes no sense: trying again does not help.
    pub async fn read(args: &Args) -> anyhow::Result<Self> {
        let host = host_file(&args.config)?;
        let (api, token_file) = credential::read(&host.kubeconfig).await?;
        let host_key = host_key::host_key(&args.state.join(HOST_KEY))?;
        let host_name = match &host.host_name {
            Some(name) => name.clone(),
            None => system_name()?,
        };
        Ok(Self {
            host,
            host_name,
            state: args.state.clone(),
            host_key,
            api,
            token_file,
        })
    }
}

fn system_name() -> anyhow::Result<String> {
    let path = "/proc/sys/kernel/hostname";
    let name = std::fs::read_to_string(path).with_context(|| format!("read {path}"))?;
    Ok(name.trim().to_owned())
}

/// Is the gateway until SIGTERM, and drains for at most `drain` seconds.
///
/// Errors if the API client cannot be made or the kernel does not tell the host's addresses.
pub async fn run(setup: Setup, drain: u32) -> anyhow::Result<()> {
    let mut termination = Termination::listen().context("take over SIGTERM")?;
    let client = client::bounded(setup.api).context("make a client of the Kubernetes API")?;
    let (readiness_tx, readiness) = watch::channel(Readiness::NotReady("starting".to_owned()));
    let (bell, mut rung) = view::bell();
    let addresses = Addresses::follow(setup.state.join(ASSIGNED), bell.clone()).await?;
    let (last_good, fallback) = LastGood::read(setup.state.join(LAST_GOOD));
    let public_key = setup.host_key.public_key();
    let mut options = GatewayOptions::new(setup.host_key);
    options.listen = setup.host.ssh_listen;
    let plane = Arc::new(Gateway::start(options));
    let (meters, rendered) = Meters::registered(&plane);
    let probes = tokio::spawn(serve_probes(setup.host.http_listen, readiness, rendered));
    let (pulse_tx, pulse) = watch::channel(Pulse::default());
    let (owner_tx, owner) = watch::channel(None);
    let heartbeat = Heartbeat {
        leases: Heartbeat::leases(client.clone(), &setup.host.connector_namespace),
        host_name: setup.host_name.clone(),
        owner,
        pulse_tx,
        bell: bell.clone(),
    };
    let beating = tokio::spawn(heartbeat.beat());
    info!(
        version = env!("CARGO_PKG_VERSION"),
        host = setup.host_name,
        listen = %setup.host.ssh_listen,
        source_ips = ?setup.host.source_ips.keys().map(Ipv4Addr::to_string).collect::<Vec<_>>(),
        "gateway started"
    );
    let renewing = tokio::spawn(credential::keep_renewed(
        client.clone(),
        setup.token_file,
        meters.clone(),
    ));
    let mut report = plane.report();
    let mut agent = Agent::start(
        Parts {
            host: setup.host,
            host_name: setup.host_name,
            public_key,
            plane,
            addresses,
            last_good,
            fallback,
            pulse,
            owner_tx,
        },
        &client,
        bell,
        readiness_tx,
        meters,
    );
    let mut notifier = Notifier::start();
    let started = Instant::now();
    let signal = loop {
        agent.pass().await;
        notifier.passed();
        notifier.status(agent.in_one_line());
        if agent.is_in_effect() || started.elapsed() >= FIRST_VIEW {
            notifier.ready();
        }
        let look = if notifier.is_ready() {
            LOOK
        } else {
            FIRST_VIEW.saturating_sub(started.elapsed())
        };
        let wake = agent.retry_at().min(Instant::now() + look);
        tokio::select! {
            _ = rung.changed() => {}
            _ = report.changed() => {}
            () = sleep_until(wake) => {}
            signal = termination.requested() => break signal,
        }
    };
    info!(signal, drain, "stopping");
    notifier.stopping();
    renewing.abort();
    beating.abort();
    tokio::select! {
        () = agent.stop(Duration::from_secs(drain.into())) => info!("drained"),
        signal = termination.requested() => warn!(signal, "cutting what is left"),
    }
    // The rules stay: without them the source IPs' ports would lead to whatever listens on this
    // host, with them they lead to a closed port.
    for error in agent.withdraw_addresses().await {
        error!(%error, "an address stays");
    }
    probes.abort();
    Ok(())
}

/// Serves the probes for ever. A port that somebody else has is no reason to carry no traffic.
async fn serve_probes(
    address: SocketAddr,
    readiness: watch::Receiver<Readiness>,
    metrics: Metrics,
) {
    let mut complained = false;
    loop {
        match probes::serve(address, readiness.clone(), metrics.clone()).await {
            Ok(serving) => {
                // It goes with this task.
                let _ = AbortOnDropHandle::new(serving).await;
            }
            Err(error) if !complained => {
                error!(
                    error = causes(&error),
                    "no probes and metrics, trying again"
                );
                complained = true;
            }
            Err(_) => {}
        }
        sleep(PROBES_RETRY).await;
    }
}
