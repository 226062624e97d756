//! The benchmark's command line: parses, dispatches, prints, exits.

use std::net::SocketAddrV4;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use extconn_bench::contender::{proxy, tunnel_end};
use extconn_bench::load::{hold, stuck};
use extconn_bench::{run, wan};

// What forwarder and gateway use.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures extconn beside a plain proxy and OpenSSH.
#[derive(Debug, Parser)]
#[command(name = "extconn-bench", version)]
struct Cli {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Measure, and print tables.
    Run(run::Options),
    /// Try what a proxy may do to a stream and what not, on ours, OpenSSH and a plain proxy.
    Streams(run::StreamsOptions),
    /// Emulate a long way between two network namespaces.
    Wan(wan::Options),
    /// Be a plain TCP proxy.
    #[command(hide = true)]
    Proxy(proxy::Options),
    /// Be a forwarder that is configured on standard input.
    #[command(hide = true)]
    Forwarder,
    /// Be a gateway that is configured on standard input.
    #[command(hide = true)]
    Gateway,
    /// Measure how long 10,000 rules take.
    #[command(hide = true)]
    GatewayRules,
    /// Hold connections.
    #[command(hide = true)]
    HoldClient(hold::ClientOptions),
    /// Answer held connections.
    #[command(hide = true)]
    HoldServer { listen: SocketAddrV4 },
    /// Open connections that are pushed full and not read.
    #[command(hide = true)]
    StuckClient(hold::ClientOptions),
    /// The other side of them.
    #[command(hide = true)]
    StuckServer { listen: SocketAddrV4 },
}

fn main() -> ExitCode {
    let result = match Cli::parse().action {
        Action::Run(options) => run::run(&options),
        Action::Streams(options) => run::run_streams(&options),
        Action::Wan(options) => wan::run(&options),
        Action::Proxy(options) => proxy::run(&options),
        Action::Forwarder => tunnel_end::run_forwarder(),
        Action::Gateway => tunnel_end::run_gateway(),
        Action::GatewayRules => tunnel_end::measure_rules(),
        Action::HoldClient(options) => hold::run_client(options),
        Action::HoldServer { listen } => hold::run_server(listen),
        Action::StuckClient(options) => stuck::run_client(options),
        Action::StuckServer { listen } => stuck::run_server(listen),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("extconn-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
