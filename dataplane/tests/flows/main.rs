//! Both ends of the data plane over real ssh and real sockets, on hosts of their own.
#![allow(clippy::unwrap_used)]

mod egress;
mod host;
mod ingress;
mod world;
