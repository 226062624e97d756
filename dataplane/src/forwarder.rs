//! The forwarder's end: accepts connections of pods, opens flows to gateways, and dials the
//! Services that the external server asks for.

pub mod config;

pub use config::{ForwarderConfig, GatewayEndpoint, Peers, Pod};
