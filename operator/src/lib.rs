//! The operator: turns ExternalServices into forwarders, Forwarder and Gateway objects, and
//! tells in their status what has become of them.

pub mod cli;
mod controller;
mod leader;
mod logging;
mod metrics;
mod node_addresses;
mod permissions;
mod probes;
mod reconcile;
mod reporting;
pub mod run;
mod settings;
pub mod uninstall;

pub use logging::start as start_logging;
