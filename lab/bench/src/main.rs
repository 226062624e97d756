//! The benchmark's command line: parses, dispatches, prints, exits.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use extconn_bench::wan;

/// Measures extconn beside a plain proxy and OpenSSH.
#[derive(Debug, Parser)]
#[command(name = "extconn-bench", version)]
struct Cli {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Emulate a long way between two network namespaces.
    Wan(wan::Options),
}

fn main() -> ExitCode {
    let result = match Cli::parse().action {
        Action::Wan(options) => wan::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("extconn-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
