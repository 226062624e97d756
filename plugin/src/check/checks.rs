//! Pure: all checks, in the order in which they run. Adding one is a file and a line here.

use super::Check;

mod address_assigned;
mod clocks_in_sync;
mod conditions_of_gateways;
mod crds_installed;
mod crds_not_foreign;
mod external_services_ready;
mod forwarders_available;
mod gateway_hosts_known;
mod gateways_programmed;
mod gateways_reporting;
mod helm_installed;
mod install_permissions;
mod kubernetes_version;
mod node_addresses;
mod operator_available;
mod sources_have_pods;
mod ssh_installed;
mod stuck_deletion;
mod tunnels_up;
mod version_skew;

/// Every check.
pub(crate) const ALL: &[&Check] = &[
    &helm_installed::CHECK,
    &ssh_installed::CHECK,
    &kubernetes_version::CHECK,
    &install_permissions::CHECK,
    &crds_not_foreign::CHECK,
    &crds_installed::CHECK,
    &operator_available::CHECK,
    &version_skew::CHECK,
    &gateway_hosts_known::CHECK,
    &gateways_reporting::CHECK,
    &clocks_in_sync::CHECK,
    &address_assigned::CHECK,
    &gateways_programmed::CHECK,
    &forwarders_available::CHECK,
    &tunnels_up::CHECK,
    &node_addresses::CHECK,
    &sources_have_pods::CHECK,
    &external_services_ready::CHECK,
    &stuck_deletion::CHECK,
];

#[cfg(test)]
mod tests;
