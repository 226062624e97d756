//! What goes wrong when people set extconn up, told by the real plugin on the workstation of a lab
//! with extconn in it: `make end-to-end`.
//!
//! Each story ends in a sentence that names the cause and the next step, a status that is not 0,
//! and nothing half-done: the gateway host is compared before and after, and when the cause is
//! gone the next run finds nothing to do or finishes. The stories share the lab and run one after
//! another.

#![allow(clippy::unwrap_used)]

mod cluster;
mod gateways;
mod grants;
mod installation;
mod interruption;
mod login;
mod machine;
mod narrow;
mod removal;
mod stage;
mod terminal;
