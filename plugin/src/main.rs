//! `kubectl extconn`: parses, dispatches, prints, exits.

mod version;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

/// Give pods a static source IP towards an external server, and let it reach them there.
#[derive(Parser)]
#[command(
    name = "kubectl-extconn",
    bin_name = "kubectl extconn",
    after_help = "Examples:\n  # Which version is this?\n  kubectl extconn version\n\nExit status: 0 done, 1 failed, 2 wrong usage."
)]
#[command(arg_required_else_help = true, propagate_version = false)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print the version of this plugin.
    #[command(
        after_help = "Examples:\n  kubectl extconn version\n  kubectl extconn version -o json"
    )]
    Version {
        /// Form of the answer.
        #[arg(short, long, value_enum, default_value_t)]
        output: Output,
    },
}

/// Form in which an answer is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    #[default]
    Text,
    /// One JSON object.
    Json,
    /// One YAML document.
    Yaml,
}

fn main() -> ExitCode {
    let answer = match Cli::parse().command {
        Command::Version { output } => version::render(&version::client(), output),
    };
    match io::stdout().write_all(answer.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader closed the pipe (`| head`): it has what it wanted.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: failed to print the answer: {error}");
            ExitCode::FAILURE
        }
    }
}
