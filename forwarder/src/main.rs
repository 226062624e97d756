//! The forwarder agent: one Forwarder object and EndpointSlices in, tunnels out.

mod agent;
mod args;
mod build;
mod dial;
mod inquiry;
mod lookup;
mod metrics;
mod peers;
mod pods;
mod readiness;
mod run;
mod status;

use std::process::ExitCode;

use clap::Parser;
use tracing::{error, info};

use crate::args::{Command, CommandLine};

// musl's own allocator costs the data plane most of its throughput.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let line = CommandLine::parse();
    let args = match (line.command, line.args) {
        (Some(Command::Dial(args)), _) => {
            // Only a closed standard output can be in the way, and then nobody reads.
            return dial::dial(&args)
                .await
                .map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
        }
        (None, Some(args)) => args,
        (None, None) => {
            eprintln!("extconn-forwarder: --forwarder, --pod-name and --pod-namespace are needed");
            return ExitCode::from(2);
        }
    };
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
