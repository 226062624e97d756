//! Both ends of the data plane over real ssh and real sockets, on hosts of their own.
#![allow(clippy::unwrap_used)]

mod admission;
mod changes;
mod cuts;
mod egress;
mod ends;
mod host;
mod ingress;
mod isolation;
mod log;
mod malformed;
mod orders;
mod recovery;
mod refusals;
mod rules;
mod vanished;
mod world;
