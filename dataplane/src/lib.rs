//! Moves bytes: ssh tunnels, flows inside them, NAT rules. Knows no Kubernetes.
//!
//! An agent hands a [`forwarder::Forwarder`] or a [`gateway::Gateway`] a configuration, which is
//! a plain value, and reads back a report, which is one too. Everything between is in here.

pub mod forwarder;
pub mod gateway;
#[doc(hidden)]
pub mod hostile;
pub mod identity;
mod listen;
pub mod nat;
mod relay;
mod tcp_info;
pub mod tunnel;
mod workers;

pub use relay::counters::Snapshot;
