//! `extconn-operator`: parses, dispatches, exits.

use clap::Parser;
use extconn_operator::cli::{Cli, Command};
use extconn_operator::{run, start_logging, uninstall};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Cli {
        logging,
        connector_namespace,
        command,
    } = Cli::parse();
    match command {
        Command::Crd => extconn_operator::cli::print_crds(&mut std::io::stdout().lock()),
        Command::Run(options) => {
            start_logging(&logging)?;
            run::run(*options, connector_namespace).await
        }
        Command::Cleanup(options) => {
            start_logging(&logging)?;
            uninstall::uninstall(options, connector_namespace).await
        }
    }
}
