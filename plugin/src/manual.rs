//! `kubectl extconn man`: the manual page, made from the same words as `--help`.

use std::path::PathBuf;

use clap::{Args, CommandFactory};

use crate::cli::Cli;
use crate::failure::Failure;
use crate::invocation::Invocation;

/// Arguments of `man`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  # Read it
  kubectl extconn man | man -l -

  # One page for each command, where man finds them
  kubectl extconn man --dir /usr/local/share/man/man1")]
pub(crate) struct ManArgs {
    /// Write one page for each command into this folder instead.
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

/// Prints the page, or writes all of them.
pub(crate) fn run(invocation: &Invocation, args: ManArgs) -> Result<(), Failure> {
    let command = Cli::command();
    match args.dir {
        Some(folder) => {
            let written = std::fs::create_dir_all(&folder)
                .and_then(|()| clap_mangen::generate_to(command, &folder));
            let failed = |error: std::io::Error| {
                Failure::could_not_run(format!(
                    "failed to write into {}: {error}",
                    folder.display()
                ))
            };
            written.map_err(failed)?;
            invocation.terminal.print(&format!(
                "Wrote the manual pages into {}.\n",
                folder.display()
            ))
        }
        None => {
            let mut page = Vec::new();
            let rendered = clap_mangen::Man::new(command).render(&mut page);
            rendered
                .map_err(|error| Failure::failed(format!("failed to make the page: {error}")))?;
            invocation.terminal.print(&String::from_utf8_lossy(&page))
        }
    }
}
