//! Pure: what a host is asked to run, and what it says about it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A long-running program of a host. It is started again when it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// Also the name of its log file, `<name>.log`.
    pub name: String,
    /// Program, absolute or found through PATH, and arguments.
    pub argv: Vec<String>,
    /// Added to the host's environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

impl Unit {
    /// A unit without environment of its own.
    pub fn new<S: Into<String>>(name: &str, argv: impl IntoIterator<Item = S>) -> Unit {
        Unit {
            name: name.into(),
            argv: argv.into_iter().map(Into::into).collect(),
            env: BTreeMap::new(),
        }
    }
}

/// A question to a host's first process: one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// Run this from here on; a unit of the same name is replaced.
    Start(Unit),
    /// End this unit (SIGTERM) and leave it down.
    Stop(String),
    /// Start this unit, stopped before, again.
    Resume(String),
    /// Say what runs.
    List,
}

/// Its answer: one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// Done.
    Done,
    /// Not done, and why.
    Refused(String),
    /// One entry per unit, sorted by name.
    Units(Vec<UnitState>),
}

/// How a unit is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitState {
    /// The unit.
    pub name: String,
    /// Its pid inside the host; `None` while it does not run.
    pub pid: Option<i32>,
    /// How often it ended by itself.
    pub restarts: u32,
    /// Whether it is meant to run.
    pub wanted: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_survives_the_wire_in_one_line() {
        let unit = Unit::new("echo", ["printf", "two\nlines"]);
        let line = serde_json::to_string(&Request::Start(unit.clone())).unwrap();
        assert!(!line.contains('\n'));
        let Request::Start(back) = serde_json::from_str(&line).unwrap() else {
            panic!("not a start: {line}");
        };
        assert_eq!(back, unit);
    }
}
