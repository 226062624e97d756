//! Pure: what a gateway tells about itself.

use std::collections::BTreeMap;

/// State of a gateway, replaced as a whole at each change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayReport {
    /// Whether the NAT rules are as configured.
    pub rules: RulesState,
    /// Live ssh connections of each forwarder that has any, by name.
    pub tunnels: BTreeMap<String, usize>,
}

/// Whether the NAT rules are as configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RulesState {
    /// They were when last looked at.
    #[default]
    Applied,
    /// They could not be written; retried until they can.
    Failed(String),
}
