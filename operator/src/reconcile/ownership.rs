//! Pure: whose an object is, and what an ExternalService lists.

use std::collections::BTreeMap;

use extconn_api::{ExternalService, NamespacedName, names};
use kube::{Resource, ResourceExt};

/// Namespace and name of an object.
pub fn key(object: &impl ResourceExt) -> NamespacedName {
    NamespacedName {
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
    }
}

/// The ExternalService that an object was made for, if it was made by the operator for one.
pub fn made_for(object: &impl Resource) -> Option<NamespacedName> {
    let (namespace, name) = owner(object)?;
    Some(NamespacedName {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    })
}

/// Whether an object was made for this ExternalService.
pub fn is_made_for(object: &impl Resource, external_service: &NamespacedName) -> bool {
    let NamespacedName { namespace, name } = external_service;
    owner(object) == Some((namespace, name))
}

fn owner(object: &impl Resource) -> Option<(&str, &str)> {
    let labels = object.meta().labels.as_ref()?;
    let label = |name| labels.get(name).map(String::as_str);
    if label(names::LABEL_MANAGED_BY) != Some(names::MANAGED_BY) {
        return None;
    }
    Some((label(names::LABEL_NAMESPACE)?, label(names::LABEL_NAME)?))
}

/// The labels by which [`made_for`] knows an object.
pub fn owner_labels(external_service: &NamespacedName) -> BTreeMap<String, String> {
    BTreeMap::from([
        (names::LABEL_MANAGED_BY.into(), names::MANAGED_BY.into()),
        (
            names::LABEL_NAMESPACE.into(),
            external_service.namespace.clone(),
        ),
        (names::LABEL_NAME.into(), external_service.name.clone()),
    ])
}

/// The labels of [`owner_labels`] as a selector.
pub fn owner_selector(external_service: &NamespacedName) -> String {
    owner_labels(external_service)
        .iter()
        .map(|(label, value)| format!("{label}={value}"))
        .collect::<Vec<_>>()
        .join(",")
}

/// The Services that an ExternalService lists, in spec order, with their namespaces filled in.
pub fn listed_services(external_service: &ExternalService) -> Vec<NamespacedName> {
    let own = external_service.namespace().unwrap_or_default();
    let sources = external_service.spec.sources.iter();
    sources
        .map(|source| NamespacedName {
            namespace: source
                .service
                .namespace
                .clone()
                .unwrap_or_else(|| own.clone()),
            name: source.service.name.clone(),
        })
        .collect()
}

/// Whether two ExternalServices may want the same thing: a name or a source IP.
pub fn are_rivals(a: &ExternalService, b: &ExternalService) -> bool {
    let same_name = a.metadata.name == b.metadata.name;
    if same_name && a.metadata.namespace == b.metadata.namespace {
        return false;
    }
    same_name
        || a.spec.sources.iter().any(|source| {
            let source_ip = &source.source_ip;
            b.spec
                .sources
                .iter()
                .any(|other| other.source_ip == *source_ip)
        })
}
