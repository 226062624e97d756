//! Who is measured: how each is started in the namespaces, and which way leads through it.

mod openssh;
mod ours;
mod plain;
pub mod proxy;
pub mod tunnel_end;

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddrV4;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Serialize;

use crate::measure::cpu;
use crate::network::Network;
use crate::network::plan::{Host, PODS, SERVICE, SOURCE_IP, TARGET};
use crate::path::Path;

pub use openssh::install as install_openssh;
pub use ours::{Replicas, start as start_ours};

/// A way from the pods to the external server and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Contender {
    /// The kernel routes; nobody stands in between.
    Routed,
    /// Two TCP proxies in a row that copy bytes.
    Plain,
    /// `ssh -L` and `ssh -R`.
    OpenSsh,
    /// extconn's own data plane.
    Ours,
}

impl Contender {
    /// In the order of the tables' columns.
    pub const ALL: [Contender; 4] = [
        Contender::Routed,
        Contender::Plain,
        Contender::OpenSsh,
        Contender::Ours,
    ];

    /// Starts it; it carries when this returns.
    ///
    /// # Errors
    /// A program of it did not start; the message says which and why.
    pub fn start(self, network: &Network, rekey: Rekey) -> Result<Running> {
        match self {
            Contender::Routed => Ok(Running {
                contender: self,
                egress: TARGET,
                ingress: SERVICE,
                programs: Vec::new(),
                _folder: None,
            }),
            Contender::Plain => plain::start(network),
            Contender::OpenSsh => openssh::start(network, rekey),
            Contender::Ours => ours::start(network, Replicas::One, rekey),
        }
    }
}

/// How often a tunnel exchanges keys; nothing to those that have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rekey {
    /// As it does by itself.
    Seldom,
    /// Every [`REKEY_OFTEN`] bytes.
    Often,
}

/// Bytes between two exchanges of keys where they are to be many.
pub const REKEY_OFTEN: usize = 16 << 20;

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Contender::Routed => "routed",
            Contender::Plain => "plain",
            Contender::OpenSsh => "OpenSSH",
            Contender::Ours => "ours",
        })
    }
}

/// A contender that carries. Its programs end when it is dropped.
#[derive(Debug)]
pub struct Running {
    /// Which one.
    pub contender: Contender,
    /// What pods dial to reach the target.
    egress: SocketAddrV4,
    /// What the external server dials to reach the Service.
    ingress: SocketAddrV4,
    programs: Vec<(Host, Program)>,
    _folder: Option<tempfile::TempDir>,
}

impl Running {
    /// From a pod to the external server.
    pub fn egress(&self, network: &Network) -> Path {
        Path {
            client: network.host(Host::Client).clone(),
            from: PODS[0],
            dial: self.egress,
            server: network.host(Host::Server).clone(),
            listen: TARGET,
        }
    }

    /// From the external server to the Service.
    pub fn ingress(&self, network: &Network) -> Path {
        Path {
            client: network.host(Host::Server).clone(),
            from: *TARGET.ip(),
            dial: self.ingress,
            server: network.host(Host::Client).clone(),
            listen: SERVICE,
        }
    }

    /// The pids of both ends and of what they started.
    pub fn family(&self) -> Vec<i32> {
        let pids = self.programs.iter().map(|(_, program)| program.pid());
        cpu::family(&pids.collect::<Vec<i32>>())
    }

    /// The pid of what runs on a host; the first, if there are more.
    pub fn pid_at(&self, host: Host) -> Option<i32> {
        let found = self.programs.iter().find(|(at, _)| *at == host);
        found.map(|(_, program)| program.pid())
    }
}

/// A program of a contender. Killed when dropped, with what it started.
#[derive(Debug)]
pub struct Program {
    child: Child,
}

impl Program {
    /// Starts a program, hands it `input`, and waits until it writes a line; returns the line.
    ///
    /// # Errors
    /// It could not be started or ended without a line.
    pub fn start(command: &mut Command, input: &str) -> Result<(Self, String)> {
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {command:?}"))?;
        let mut program = Self { child };
        let stdin = program.child.stdin.as_mut().context("stdin is piped")?;
        writeln!(stdin, "{input}").with_context(|| format!("configure {command:?}"))?;
        let line = program.next_line()?;
        if line.is_empty() {
            bail!("{command:?} ended: {}", program.child.wait()?);
        }
        Ok((program, line))
    }

    /// Starts a program that writes nothing when it is ready.
    ///
    /// # Errors
    /// It could not be started.
    pub fn start_silent(command: &mut Command) -> Result<Self> {
        let spawned = command.stdin(Stdio::null()).spawn();
        let child = spawned.with_context(|| format!("start {command:?}"))?;
        Ok(Self { child })
    }

    /// Writes a line to a program of [`Program::start`] and waits for the one it answers.
    ///
    /// # Errors
    /// It has ended.
    pub fn ask(&mut self, line: &str) -> Result<String> {
        let stdin = self.child.stdin.as_mut().context("stdin is piped")?;
        writeln!(stdin, "{line}").context("the program has ended")?;
        self.next_line()
    }

    /// Waits for the next line; empty at the end. Reads by single bytes so that nothing is lost
    /// between two calls.
    fn next_line(&mut self) -> Result<String> {
        let stdout = self.child.stdout.as_mut().context("stdout is piped")?;
        let mut line = String::new();
        BufReader::with_capacity(1, stdout).read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    /// Its pid.
    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Whether it has ended, and how.
    pub fn ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok().flatten()?;
        Some(status.to_string())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        for pid in cpu::family(&[self.pid()]) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let _ = self.child.wait();
    }
}

/// This program's own subcommand, to be run inside a host.
///
/// # Errors
/// This program's file cannot be named.
pub fn own_command(network: &Network, host: Host, subcommand: &str) -> Result<Command> {
    let program = std::env::current_exe().context("find this program")?;
    let program = program.to_str().context("this program's path is no text")?;
    let mut command = network.host(host).command(program);
    command.arg(subcommand);
    Ok(command)
}

/// Port of a contender on the forwarder's and on the gateway's address.
fn port(contender: Contender) -> u16 {
    8001 + contender as u16
}

/// What the external server dials to get to a contender that listens there by itself.
fn ingress_address(contender: Contender) -> SocketAddrV4 {
    SocketAddrV4::new(SOURCE_IP, port(contender))
}
