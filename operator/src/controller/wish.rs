//! Pure: what an ExternalService wants, by which those that a change concerns are found.

use extconn_api::{ExternalService, NamespacedName};
use kube::ResourceExt;

use crate::reconcile::ownership;

/// What several ExternalServices may want at once, or wait for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Wish {
    /// The name in the connector namespace.
    Name(String),
    /// A source IP.
    SourceIp(String),
    /// A Service as a source.
    Service(NamespacedName),
}

impl Wish {
    /// All that an ExternalService wants.
    pub fn of(external_service: &ExternalService) -> Vec<Wish> {
        let sources = external_service.spec.sources.iter();
        let services = ownership::listed_services(external_service).into_iter();
        std::iter::once(Wish::Name(external_service.name_any()))
            .chain(sources.map(|source| Wish::SourceIp(source.source_ip.clone())))
            .chain(services.map(Wish::Service))
            .collect()
    }
}
