//! Four hosts in a row, each a network namespace that this program makes and removes:
//! client – forwarder – gateway – server. See [`plan`] for addresses and routes.

pub mod leftovers;
pub mod namespace;
pub mod plan;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::wan::profile::Profile;
use namespace::Namespace;
use plan::Host;

/// What joins forwarder and gateway.
#[derive(Clone, Debug, PartialEq)]
pub enum Link {
    /// A cable as fast as the machine.
    Cable,
    /// A long way, emulated.
    Wan(Profile),
}

/// The four hosts. Removed when dropped.
#[derive(Debug)]
pub struct Network {
    hosts: [Namespace; 4],
    wan: Option<Child>,
    _removed_at_the_end: RemovedAtTheEnd,
}

/// Removes this run's namespaces when dropped, also those of a network that was never finished.
#[derive(Debug)]
struct RemovedAtTheEnd {
    prefix: String,
}

impl Drop for RemovedAtTheEnd {
    fn drop(&mut self) {
        leftovers::remove(&self.prefix);
    }
}

impl Network {
    /// Makes the hosts and joins them.
    ///
    /// # Errors
    /// Not root, or the kernel or `ip` refused; the message says which command.
    pub fn build(link: &Link) -> Result<Self> {
        let prefix = leftovers::prefix(std::process::id());
        let removed_at_the_end = RemovedAtTheEnd {
            prefix: prefix.clone(),
        };
        let mut hosts = Vec::new();
        for host in Host::ALL {
            let namespace = Namespace::create(format!("{prefix}{host}"))?;
            for (name, value) in plan::SYSCTLS {
                namespace.sysctl(name, value)?;
            }
            hosts.push(namespace);
        }
        let Ok(hosts) = <[Namespace; 4]>::try_from(hosts) else {
            bail!("there are four hosts");
        };
        let mut network = Self {
            hosts,
            wan: None,
            _removed_at_the_end: removed_at_the_end,
        };
        for cable in plan::CABLES {
            if cable.is_wan() && *link != Link::Cable {
                continue;
            }
            network
                .host(cable.left)
                .ip(&cable.command(network.host(cable.right).name()))?;
        }
        if let Link::Wan(profile) = link {
            network.wan = Some(network.start_wan(profile)?);
        }
        for host in Host::ALL {
            for line in plan::wiring(host) {
                network.host(host).ip(line)?;
            }
        }
        Ok(network)
    }

    /// One of the hosts.
    pub fn host(&self, host: Host) -> &Namespace {
        &self.hosts[host as usize]
    }

    /// Runs the emulator between forwarder and gateway until the network is dropped.
    fn start_wan(&self, profile: &Profile) -> Result<Child> {
        let mut child = Command::new("chrt")
            .args(["--rr", "1"])
            .arg(std::env::current_exe().context("find this program")?)
            .arg("wan")
            .args(["--left", &self.host(Host::Forwarder).path()])
            .args(["--right", &self.host(Host::Gateway).path()])
            .args(profile.arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start the WAN emulator with chrt")?;
        let stdout = child.stdout.take().context("stdout is piped")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        if line.trim() != "ready" {
            bail!(
                "the WAN emulator ended before it was ready: {}",
                child.wait()?
            );
        }
        Ok(child)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Some(mut wan) = self.wan.take() {
            // It ends with its standard input.
            drop(wan.stdin.take());
            let _ = wan.wait();
        }
    }
}
