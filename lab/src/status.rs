//! What is up.

use std::fs;

use anyhow::{Context, Result};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::topology::Host;
use crate::unit::UnitState;
use crate::{cluster, components, down, gateway, host, paths};

/// The lab as a whole.
#[derive(Debug, PartialEq, Eq)]
pub enum State {
    /// Everything runs, as this program would have made it.
    Up,
    /// There is nothing of it.
    Down,
    /// Something is there that is not a working lab, and why.
    Broken(String),
}

/// What a lab made by this program with these parts is called.
pub fn fingerprint() -> Result<String> {
    let go = components::go_version()?;
    let mut hash = Sha256::new();
    for module in &components::MODULES {
        hash.update(module.folder(&go)?.as_os_str().as_encoded_bytes());
    }
    hash.update(gateway::root_folder()?.as_os_str().as_encoded_bytes());
    Ok(crate::hex(&hash.finalize()))
}

/// Looks at the lab: its hosts, their units, the cluster's nodes.
pub fn state() -> Result<State> {
    let traces = down::traces()?;
    if traces.is_empty() {
        return Ok(State::Down);
    }
    let broken = |why: String| Ok(State::Broken(why));
    let Ok(recorded) = fs::read_to_string(paths::ready()) else {
        return broken("it never came up".into());
    };
    if recorded != fingerprint()? {
        return broken("it was made of other parts".into());
    }
    for report in report() {
        if !report.up {
            return broken(format!("host {} is gone", report.host));
        }
        if let Some(unit) = report
            .units
            .iter()
            .find(|unit| unit.wanted && unit.pid.is_none())
        {
            return broken(format!("{} of {} does not run", unit.name, report.host));
        }
    }
    match cluster::check()? {
        Ok(()) => Ok(State::Up),
        Err(why) => broken(why),
    }
}

/// One host's state.
#[derive(Debug, Serialize)]
pub struct HostReport {
    /// Its name.
    pub host: &'static str,
    /// Its own address.
    pub address: String,
    /// Its network namespace, as `ip netns` lists it.
    pub netns: String,
    /// Whether its first process runs.
    pub up: bool,
    /// Pid of its first process on the machine.
    pub pid: Option<i32>,
    /// Its units, sorted by name.
    pub units: Vec<UnitState>,
}

/// Every host's state, in the order of [`Host::ALL`].
pub fn report() -> Vec<HostReport> {
    Host::ALL
        .into_iter()
        .map(|host| {
            let process = host::process(host);
            HostReport {
                host: host.name(),
                address: host.address().to_string(),
                netns: host.netns(),
                up: process.is_some(),
                pid: process.map(|process| process.pid),
                // A host that is down has none.
                units: host::units(host).unwrap_or_default(),
            }
        })
        .collect()
}

/// The report as a table for people.
pub fn table(reports: &[HostReport]) -> String {
    let mut text = format!("{:<12} {:<16} {:<5} UNITS\n", "HOST", "ADDRESS", "UP");
    for report in reports {
        let units: Vec<String> = report.units.iter().map(unit_in_words).collect();
        let up = if report.up { "yes" } else { "no" };
        text.push_str(&format!(
            "{:<12} {:<16} {up:<5} {}\n",
            report.host,
            report.address,
            units.join(", ")
        ));
    }
    text
}

fn unit_in_words(unit: &UnitState) -> String {
    let mut words = unit.name.clone();
    match (unit.wanted, unit.pid) {
        (false, _) => words.push_str(" (stopped)"),
        (true, None) => words.push_str(" (not running)"),
        (true, Some(_)) => {}
    }
    if unit.restarts > 0 {
        words.push_str(&format!(" ({} restarts)", unit.restarts));
    }
    words
}

/// The report for programs.
pub fn json(reports: &[HostReport]) -> Result<String> {
    serde_json::to_string_pretty(reports).context("write the report")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_unit_and_a_restless_one_are_told_apart() {
        let unit = |wanted, pid, restarts| {
            let name = "kubelet".into();
            unit_in_words(&UnitState {
                name,
                pid,
                restarts,
                wanted,
            })
        };
        assert_eq!(unit(true, Some(7), 0), "kubelet");
        assert_eq!(unit(false, None, 0), "kubelet (stopped)");
        assert_eq!(unit(true, None, 2), "kubelet (not running) (2 restarts)");
    }
}
