//! What forwarder and gateway have in common besides the data plane: a complete view of objects
//! that outlives API outages, status that stays as it was told, probes, logs, termination.
//!
//! It knows neither extconn's objects nor its packets.

pub mod client;
pub mod flow_metrics;
pub mod logs;
pub mod pace;
pub mod probes;
pub mod publish;
pub mod termination;
pub mod view;
