//! Takes back what the gateway put on this host's network.

use std::io::Write;

use anyhow::{Context, bail};
use extconn_agent::view;
use extconn_dataplane::gateway::Gateway;

use crate::addresses::Addresses;
use crate::args::Args;
use crate::run::ASSIGNED;

/// Removes rules and addresses; goes on after a failure and names all of them at the end.
pub async fn uninstall(args: &Args) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    let mut failures = vec![];
    match Gateway::remove_rules().await {
        Ok(()) => writeln!(out, "removed the nat rules").context("write")?,
        Err(error) => failures.push(error.to_string()),
    }
    let (bell, _) = view::bell();
    match Addresses::follow(args.state.join(ASSIGNED), bell).await {
        Ok(mut addresses) => {
            let errors = addresses.withdraw().await;
            if errors.is_empty() {
                writeln!(out, "withdrew the addresses that the gateway had assigned")
                    .context("write")?;
            }
            failures.extend(errors.iter().map(ToString::to_string));
        }
        Err(error) => failures.push(error.to_string()),
    }
    if !failures.is_empty() {
        bail!("{}", failures.join("; "));
    }
    Ok(())
}
