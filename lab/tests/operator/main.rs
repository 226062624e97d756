//! The operator as it is shipped, against a real API server, objects alone: nobody runs pods.
//! Needs neither a cluster nor root's network: `make control-plane`.
//!
//! Every request of an operator goes through a door of the test's, which carries the permissions
//! that the chart gives the operator, counts, and can kill the operator between two writes.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod admission;
mod agents;
mod bad_inputs;
mod conditions;
mod crash;
mod door;
mod leader;
mod namespaces;
mod process;
mod scale;
mod snapshot;
mod world;
