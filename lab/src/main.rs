//! The lab's command line: parses, dispatches, prints, exits.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::Parser;
use extconn_lab::down::Cache;
use extconn_lab::host::{birth, supervisor};
use extconn_lab::progress::Progress;
use extconn_lab::{Host, down, host, images, installation, paths, status, supply, up, walkthrough};

mod cli;

use cli::{Action, Cli, Format, UnitAction};

fn main() -> ExitCode {
    match run(Cli::parse().action) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("extconn-lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(action: Action) -> Result<()> {
    let progress = Progress::new();
    match action {
        Action::Prerequisites => supply::install_packages(&progress),
        Action::Build => supply::build(&progress).map(|_| ()),
        Action::Up => up::up(&progress),
        Action::Down { purge_cache } => {
            let cache = if purge_cache {
                Cache::Purge
            } else {
                Cache::Keep
            };
            down::down(&progress, cache)
        }
        Action::Demo => {
            up::up(&progress)?;
            walkthrough::story::tell(&progress)
        }
        Action::Provide => installation::provide(&progress),
        Action::Install => installation::install(&progress),
        Action::Uninstall => installation::uninstall(&progress),
        Action::Status { output } => print_status(output),
        Action::Exec { host, command } => become_command(host, command),
        Action::Kubectl { args } => become_program("kubectl", args),
        Action::Helm { args } => become_program("helm", args),
        Action::Tool { name, args } => {
            let program = supply::program(&progress, &name)?;
            Err(Command::new(&program).args(args).exec())
                .with_context(|| format!("run {}", program.display()))
        }
        Action::Ssh { host, command } => {
            let mut args = vec![OsString::from(host.address().to_string())];
            args.extend(command);
            become_program("ssh", args)
        }
        Action::Logs { host, unit, follow } => become_logs(host, unit, follow),
        Action::Unit { action, host, unit } => match action {
            UnitAction::Stop => host::stop_unit(host, &unit),
            UnitAction::Start => host::resume_unit(host, &unit),
        },
        Action::BuildImage {
            name,
            file,
            context,
        } => {
            let archive = progress.step(&format!("build the image {name}"), || {
                images::build(&name, &file, &context)
            })?;
            progress.step("load it into both nodes", || images::load(&archive))
        }
        Action::LoadImage { archive } => {
            progress.step("load the image into both nodes", || images::load(&archive))
        }
        Action::HostBirth { host } => birth::host_birth(host),
        Action::HostInit { host } => supervisor::host_init(host),
    }
}

#[expect(clippy::print_stdout, reason = "the answer to the user's question")]
fn print_status(output: Format) -> Result<()> {
    let reports = status::report();
    match output {
        Format::Table => print!("{}", status::table(&reports)),
        Format::Json => println!("{}", status::json(&reports)?),
    }
    Ok(())
}

/// Replaces this program by a command in a host, so that streams, signals and
/// the exit code are the command's own.
fn become_command(host: Host, command: Vec<OsString>) -> Result<()> {
    let error = host::command(host, &command)?.exec();
    Err(error).with_context(|| format!("enter host {host}"))
}

fn become_program(program: &str, args: Vec<OsString>) -> Result<()> {
    let mut command = vec![OsString::from(program)];
    command.extend(args);
    become_command(Host::Workstation, command)
}

fn become_logs(host: Host, unit: Option<String>, follow: bool) -> Result<()> {
    let mut command = Command::new("tail");
    if follow {
        command.arg("--follow=name");
    } else {
        command.arg("--lines=+1");
    }
    match unit {
        Some(unit) => command.arg(paths::log(host, &unit)),
        None => {
            let folder = paths::logs(host);
            let entries = std::fs::read_dir(&folder)
                .with_context(|| format!("no logs of host {host}; is the lab up?"))?;
            command.args(entries.flatten().map(|entry| entry.path()))
        }
    };
    Err(command.exec()).context("run tail")
}
