//! The contract between the parts of extconn: custom resources, names, conditions.
//!
//! Pure: no client, no runtime, no clock. Everything that two components must agree on is
//! here and nowhere else; what only one of them needs is not.

pub mod admission;
pub mod condition;
pub mod external_service;
pub mod forwarder;
pub mod gateway;
pub mod names;
pub mod node_addresses;
pub mod permission;
mod schema;

pub use admission::{Permissions, PermissionsSpec};
pub use external_service::{ExternalService, ExternalServiceSpec, ExternalServiceStatus};
pub use forwarder::{Forwarder, ForwarderSpec, ForwarderStatus};
pub use gateway::{Gateway, GatewaySpec, GatewayStatus};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// All custom resource definitions of extconn, in the order in which to install them.
pub fn crds() -> Vec<CustomResourceDefinition> {
    [
        ExternalService::crd(),
        Forwarder::crd(),
        Gateway::crd(),
        Permissions::crd(),
    ]
    .into_iter()
    .map(schema::with_flowing_descriptions)
    .collect()
}

/// Transport protocol of a port.
///
/// UDP is not in the enum until the data plane carries it: the API server refuses it by name
/// instead of an object that never becomes ready.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub enum Protocol {
    /// TCP, the default.
    #[default]
    #[serde(rename = "TCP")]
    Tcp,
}

/// A Service by namespace and name.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub struct NamespacedName {
    /// Namespace of the object.
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
    /// Name of the object.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

impl std::fmt::Display for NamespacedName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
