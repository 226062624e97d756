//! Pure: which ExternalServices a changed object concerns.

use std::sync::Arc;

use extconn_api::{ExternalService, Gateway};
use k8s_openapi::api::core::v1::Service;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};

use crate::reconcile::ownership;

/// A reference to an ExternalService.
pub type ExternalServiceRef = ObjectRef<ExternalService>;

/// Of an object that the operator makes for one ExternalService: that one.
pub fn by_owner(object: &impl Resource) -> Option<ExternalServiceRef> {
    let owner = ownership::made_for(object)?;
    Some(ObjectRef::new(&owner.name).within(&owner.namespace))
}

/// Of a Service: those that list it; the one that it was made for; in the connector namespace,
/// also those that want its name.
pub fn by_service(
    service: &Service,
    all: &[Arc<ExternalService>],
    connector_namespace: &str,
) -> Vec<ExternalServiceRef> {
    let key = ownership::key(service);
    let wants_name =
        |es: &ExternalService| key.namespace == connector_namespace && es.name_any() == key.name;
    all.iter()
        .filter(|es| wants_name(es) || ownership::listed_services(es).contains(&key))
        .map(|es| ObjectRef::from_obj(&**es))
        .chain(by_owner(service))
        .collect()
}

/// Of a Gateway: those with its source IP, and those whose name it has an entry for.
pub fn by_gateway(gateway: &Gateway, all: &[Arc<ExternalService>]) -> Vec<ExternalServiceRef> {
    let name = gateway.name_any();
    all.iter()
        .filter(|es| {
            es.spec
                .sources
                .iter()
                .any(|source| source.source_ip == name)
                || gateway
                    .spec
                    .forwarders
                    .iter()
                    .any(|grant| grant.name == es.name_any())
        })
        .map(|es| ObjectRef::from_obj(&**es))
        .collect()
}
