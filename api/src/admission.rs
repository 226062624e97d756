//! Pure: Permissions, what admission goes by.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// What admission has to know and cannot read itself. Written by the operator.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "extconn.submariner.io",
    version = "v1alpha1",
    kind = "Permissions",
    plural = "permissions",
    namespaced,
    category = "extconn",
    derive = "PartialEq",
    doc = "Which Services' owners consent to being listed, and which source IPs are reserved: what the API server refuses an ExternalService by. Made by the extconn operator; not for users to write."
)]
#[serde(rename_all = "camelCase")]
pub struct PermissionsSpec {
    /// Namespaces, separated by commas, by what they may claim: `service.NAMESPACE.NAME` for each
    /// Service that consents, `*` for all, and `source-ip.ADDRESS` for each that is reserved.
    // One writer, who replaces all of it: an entry of somebody else's would permit something.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-map-type" = "atomic"))]
    pub entries: BTreeMap<String, String>,
}
