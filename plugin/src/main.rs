//! `kubectl extconn`: parses, dispatches, prints, exits.

mod check;
mod cli;
mod cluster;
mod completion;
#[cfg(test)]
mod derived;
mod expose;
mod failure;
mod helm;
mod host;
mod init;
mod invocation;
mod logs;
mod manual;
mod program;
mod prompt;
mod prove;
#[cfg(test)]
mod reference;
mod status;
mod terminal;
mod uninstall;
mod version;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};
use failure::Failure;
use invocation::Invocation;
use terminal::Terminal;
use terminal::signals::{self, Interrupt};

fn main() -> ExitCode {
    let Cli { kubectl, command } = Cli::parse();
    let terminal = Terminal::detect();
    terminal::speak_up(kubectl.verbosity, terminal.talk.colours);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            terminal.complain(&Failure::could_not_run(format!("failed to start: {error}")));
            return ExitCode::from(3);
        }
    };
    let result = runtime.block_on(async {
        let interrupt = Interrupt::install();
        run(
            &Invocation {
                kubectl,
                terminal,
                interrupt,
            },
            command,
        )
        .await
    });
    // A prompt may still be reading in its thread; nobody waits for it.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            signals::restore_cursor();
            terminal.complain(&failure);
            ExitCode::from(failure.status())
        }
    }
}

async fn run(invocation: &Invocation, command: Command) -> Result<(), Failure> {
    let interrupt = &invocation.interrupt;
    match command {
        Command::Check(args) => interrupt.unless(check::run(invocation, args)).await,
        Command::Logs(args) => interrupt.unless(logs::run(invocation, args)).await,
        Command::Status(args) => interrupt.unless(status::run(invocation, args)).await,
        Command::Expose(args) => interrupt.unless(expose::run(invocation, args)).await,
        // These clean up after themselves, also when interrupted.
        Command::Init(args) => init::run(invocation, args).await,
        Command::Test(args) => prove::run(invocation, args).await,
        Command::Uninstall(args) => interrupt.unless(uninstall::run(invocation, args)).await,
        Command::Completion(args) => completion::run(invocation, args),
        Command::Complete(args) => completion::complete(invocation, args),
        Command::Man(args) => manual::run(invocation, args),
        Command::Version(args) => interrupt.unless(version::run(invocation, args)).await,
    }
}
