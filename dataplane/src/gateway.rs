//! The gateway's end: admits forwarders by key, dials the external server from the source IP,
//! and takes the external server's connections into the tunnel.

pub mod config;

pub use config::{EgressGrant, GatewayConfig, IngressGrant};
