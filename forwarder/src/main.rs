//! The forwarder agent: one Forwarder object and EndpointSlices in, tunnels out.

mod agent;
mod args;
mod build;
mod metrics;
mod peers;
mod pods;
mod readiness;
mod run;
mod status;

use std::process::ExitCode;

use clap::Parser;
use tracing::{error, info};

// musl's own allocator costs the data plane most of its throughput.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let args = args::Args::parse();
    extconn_agent::logs::init(args.log_format);
    info!(
        version = env!("CARGO_PKG_VERSION"),
        forwarder = args.forwarder,
        "starting"
    );
    match run::run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(error = format!("{error:#}"), "cannot go on");
            ExitCode::FAILURE
        }
    }
}
