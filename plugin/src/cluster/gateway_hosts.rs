//! What `init` remembers of each gateway host: one ConfigMap in the connector namespace.
//!
//! It holds no secret. Nothing but this plugin reads it: `expose` offers its source IPs, `test`
//! and `uninstall` find the way to the host.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use extconn_api::names;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use serde_json::json;

use super::{Cluster, FIELD_MANAGER, api, is_forbidden, is_not_found};
use crate::failure::Failure;

/// Selects the ConfigMaps.
const LABELS: &str = "app.kubernetes.io/name=extconn,app.kubernetes.io/component=gateway-host";

/// One gateway host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GatewayHost {
    /// Name that it has in the cluster.
    pub name: String,
    /// How the user's ssh reaches it, `root@gw1`.
    pub ssh: String,
    /// Where forwarders reach it, `192.0.2.1:2022`.
    pub ssh_endpoint: String,
    /// Source IPs that the cluster may use there, sorted.
    pub source_ips: Vec<Ipv4Addr>,
}

impl GatewayHost {
    /// Name of its ConfigMap.
    pub(crate) fn object_name(&self) -> String {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
        if self.name.chars().all(fits) && self.name.ends_with(|c: char| c.is_ascii_alphanumeric()) {
            format!("extconn-gateway-{}", self.name)
        } else {
            names::gateway_lease(&self.name)
        }
    }

    /// The ConfigMap.
    pub(crate) fn object(&self, namespace: &str) -> serde_json::Value {
        let source_ips: Vec<String> = self.source_ips.iter().map(ToString::to_string).collect();
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": self.object_name(),
                "namespace": namespace,
                "labels": {
                    "app.kubernetes.io/name": "extconn",
                    "app.kubernetes.io/component": "gateway-host",
                    "app.kubernetes.io/managed-by": FIELD_MANAGER,
                },
            },
            "data": {
                "name": self.name,
                "ssh": self.ssh,
                "sshEndpoint": self.ssh_endpoint,
                "sourceIPs": source_ips.join(" "),
            },
        })
    }

    fn from_data(data: &BTreeMap<String, String>) -> Option<Self> {
        let text = |key: &str| data.get(key).cloned();
        Some(Self {
            name: text("name")?,
            ssh: text("ssh")?,
            ssh_endpoint: text("sshEndpoint")?,
            source_ips: text("sourceIPs")?
                .split_whitespace()
                .filter_map(|ip| ip.parse().ok())
                .collect(),
        })
    }
}

/// All gateway hosts, by name; empty also for those who may not read them.
///
/// # Errors
/// The API server's refusal, other than a missing permission.
pub(crate) async fn list(cluster: &Cluster, namespace: &str) -> Result<Vec<GatewayHost>, Failure> {
    match read(cluster, namespace).await {
        Err(error) if is_forbidden(&error) => Ok(Vec::new()),
        found => found.map_err(api(format_args!(
            "list gateway hosts in namespace {namespace}"
        ))),
    }
}

/// All gateway hosts, by name, for those who must not miss any.
///
/// # Errors
/// The API server's refusal, also that of a missing permission.
pub(crate) async fn list_all(
    cluster: &Cluster,
    namespace: &str,
) -> Result<Vec<GatewayHost>, Failure> {
    read(cluster, namespace).await.map_err(api(format_args!(
        "list gateway hosts in namespace {namespace}"
    )))
}

async fn read(cluster: &Cluster, namespace: &str) -> Result<Vec<GatewayHost>, kube::Error> {
    let config_maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), namespace);
    let found = match config_maps
        .list(&ListParams::default().labels(LABELS))
        .await
    {
        Ok(found) => found.items,
        Err(error) if is_not_found(&error) => Vec::new(),
        Err(error) => return Err(error),
    };
    let mut hosts: Vec<_> = found
        .iter()
        .filter_map(|cm| GatewayHost::from_data(cm.data.as_ref()?))
        .collect();
    hosts.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(hosts)
}

/// Remembers a gateway host, in place of what was known under its name.
///
/// # Errors
/// The API server's refusal.
pub(crate) async fn remember(
    cluster: &Cluster,
    namespace: &str,
    host: &GatewayHost,
) -> Result<(), Failure> {
    let config_maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), namespace);
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    let done = config_maps
        .patch(
            &host.object_name(),
            &parameters,
            &Patch::Apply(host.object(namespace)),
        )
        .await;
    done.map(drop)
        .map_err(api(format_args!("remember gateway host {}", host.name)))
}

/// Forgets a gateway host; fine if it was not known.
///
/// # Errors
/// The API server's refusal.
pub(crate) async fn forget(
    cluster: &Cluster,
    namespace: &str,
    host: &GatewayHost,
) -> Result<(), Failure> {
    let config_maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), namespace);
    match config_maps
        .delete(&host.object_name(), &DeleteParams::default())
        .await
    {
        Ok(_) => Ok(()),
        Err(error) if is_not_found(&error) => Ok(()),
        Err(error) => Err(api(format_args!("forget gateway host {}", host.name))(
            error,
        )),
    }
}

#[cfg(test)]
mod tests {
    use kube::ResourceExt;

    use super::*;

    #[test]
    fn what_is_remembered_is_what_is_read() {
        let host = GatewayHost {
            name: "gw1".into(),
            ssh: "root@gw1".into(),
            ssh_endpoint: "192.0.2.1:2022".into(),
            source_ips: vec!["192.0.2.10".parse().unwrap(), "192.0.2.11".parse().unwrap()],
        };
        let object: ConfigMap = serde_json::from_value(host.object("external-services")).unwrap();
        assert_eq!(object.name_any(), "extconn-gateway-gw1");
        let named = |name: &str| GatewayHost {
            name: name.into(),
            ..host.clone()
        };
        let full = named("gw1.example.com").object_name();
        assert_eq!(full, "extconn-gateway-gw1.example.com");
        assert_eq!(named("GW_1").object_name(), "extconn-gateway-gw-1");
        assert_eq!(GatewayHost::from_data(&object.data.unwrap()), Some(host));
    }
}
