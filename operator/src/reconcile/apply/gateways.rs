//! Grants at gateways. A Gateway is shared by all ExternalServices of its source IP, so each
//! grant has a field manager of its own: two reconciles never overwrite each other's, and the
//! last grant takes the object with it.

use extconn_api::gateway::ForwarderGrant;
use extconn_api::names::{self, field_manager};
use extconn_api::{Gateway, GatewaySpec};
use kube::Api;
use kube::api::{ObjectMeta, Patch, PatchParams};
use kube::{Resource, ResourceExt};
use serde_json::json;

use super::write::{apply_as, delete_unchanged, failure};
use crate::reconcile::connection::SourceIp;
use crate::reconcile::error::Error;

/// A gateway as it is, and whether this reconcile has changed what it grants.
#[derive(Clone, Debug)]
pub struct Granted {
    /// The gateway.
    pub gateway: Gateway,
    /// What this reconcile did.
    pub grant: Grant,
}

/// Whether a grant was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// It was as desired.
    Unchanged,
    /// It has been written: the gateway has yet to take it over.
    Written,
}

/// Whether the gateway grants something to the forwarder of this name.
pub fn has_grant(gateway: &Gateway, forwarder: &str) -> bool {
    gateway
        .spec
        .forwarders
        .iter()
        .any(|grant| grant.name == forwarder)
}

/// Makes the grant so, unless `observed` shows that it is.
pub async fn grant(
    api: &Api<Gateway>,
    source_ip: SourceIp,
    grant: ForwarderGrant,
    observed: Option<&Gateway>,
) -> Result<Granted, Error> {
    match observed {
        Some(gateway) if gateway.spec.forwarders.contains(&grant) => Ok(Granted {
            gateway: gateway.clone(),
            grant: Grant::Unchanged,
        }),
        _ => {
            let manager = field_manager::gateway_entry(&grant.name);
            let desired = gateway_of(&source_ip.to_string(), vec![grant]);
            let gateway = apply_as(api, &desired, &manager).await?;
            Ok(Granted {
                gateway,
                grant: Grant::Written,
            })
        }
    }
}

fn gateway_of(source_ip: &str, forwarders: Vec<ForwarderGrant>) -> Gateway {
    let label = (
        names::LABEL_MANAGED_BY.to_owned(),
        names::MANAGED_BY.to_owned(),
    );
    Gateway {
        metadata: ObjectMeta {
            name: Some(source_ip.to_owned()),
            labels: Some([label].into()),
            ..ObjectMeta::default()
        },
        spec: GatewaySpec {
            source_ip: source_ip.to_owned(),
            forwarders,
        },
        status: None,
    }
}

/// Whether the Gateway stays without a grant: it tells for whom its source IP is reserved, and
/// whoever asks next is refused at once. Without it, the same would be granted and refused again
/// and again.
pub fn is_reserved(gateway: &Gateway) -> bool {
    let status = gateway.status.as_ref();
    status.is_some_and(|status| status.allowed_namespaces.is_some())
}

/// Withdraws the grant of this forwarder, and the Gateway with it if that was the last one and
/// the source IP is not reserved.
pub async fn revoke(api: &Api<Gateway>, gateway: &Gateway, forwarder: &str) -> Result<(), Error> {
    if !has_grant(gateway, forwarder) {
        return Ok(());
    }
    if gateway.spec.forwarders.len() == 1 {
        if !is_reserved(gateway) {
            return delete_unchanged(api, gateway).await;
        }
        apply_as(
            api,
            &gateway_of(&gateway.spec.source_ip, vec![]),
            field_manager::OPERATOR,
        )
        .await?;
    }
    // Applying nothing gives up all that this manager owns: its entry goes, and what others
    // own as well stays. Should the others have gone meanwhile, the API server refuses a
    // Gateway without a spec, and the next try deletes it.
    let nothing = json!({
        "apiVersion": Gateway::api_version(&()),
        "kind": Gateway::kind(&()),
        "metadata": {"name": gateway.name_any()},
    });
    let parameters = PatchParams::apply(&field_manager::gateway_entry(forwarder)).force();
    let left = api
        .patch(&gateway.name_any(), &parameters, &Patch::Apply(nothing))
        .await
        .map_err(failure("withdraw the grant from", gateway))?;
    // Somebody else has written this entry: it goes all the same.
    match left
        .spec
        .forwarders
        .iter()
        .position(|grant| grant.name == forwarder)
    {
        Some(index) => remove(api, &left, index).await,
        None => Ok(()),
    }
}

async fn remove(api: &Api<Gateway>, gateway: &Gateway, index: usize) -> Result<(), Error> {
    let path = format!("/spec/forwarders/{index}");
    let operations = json!([
        {"op": "test", "path": "/metadata/resourceVersion",
         "value": gateway.metadata.resource_version},
        {"op": "remove", "path": path},
    ]);
    let patch = serde_json::from_value(operations).expect("these are JSON patch operations");
    api.patch(
        &gateway.name_any(),
        &PatchParams::default(),
        &Patch::Json::<()>(patch),
    )
    .await
    .map_err(failure("withdraw the grant from", gateway))?;
    Ok(())
}
