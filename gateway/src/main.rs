//! The gateway agent: Gateway and Forwarder objects in; an ssh server, source IPs and rules out.

mod addresses;
mod agent;
mod announce;
mod args;
mod build;
mod check;
mod clock;
mod credential;
mod heartbeat;
mod host_file;
mod host_key;
mod last_good;
mod metrics;
mod notify;
mod run;
mod state_files;
mod status;
mod token;
mod uninstall;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use tracing::error;

use crate::args::{Args, Command};
use crate::host_file::HostFile;

// musl's own allocator costs the data plane most of its throughput.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A start that fails until somebody changes a file: EX_CONFIG of sysexits.h. The systemd unit
/// does not try again.
const EXIT_CONFIG: u8 = 78;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    extconn_agent::logs::init(args.log_format);
    let done = match &args.command {
        Command::Run { drain } => return run(&args, *drain).await,
        Command::CheckConfig {
            host_file_only: true,
        } => check::check_host_file(&args).await.map(drop),
        Command::CheckConfig { .. } => check::check(&args).await,
        Command::Uninstall => uninstall::uninstall(&args).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("extconn-gateway: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args, drain: u32) -> ExitCode {
    let setup = match run::Setup::read(args).await {
        Ok(setup) => setup,
        Err(error) => {
            let error = format!("{error:#}");
            error!(error, "cannot start until this is corrected");
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    match run::run(setup, drain).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(error = format!("{error:#}"), "cannot go on");
            ExitCode::FAILURE
        }
    }
}

/// Reads the host file.
fn host_file(path: &Path) -> anyhow::Result<HostFile> {
    let what = || format!("read the host file {}", path.display());
    let text = std::fs::read_to_string(path).with_context(what)?;
    text.parse().with_context(what)
}
