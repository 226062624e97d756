//! What forwarder and gateway have in common besides the data plane: a complete view of objects
//! that outlives API outages, probes, logs, termination.
//!
//! It knows neither extconn's objects nor its packets.

pub mod client;
pub mod logs;
pub mod probes;
pub mod termination;
pub mod view;
