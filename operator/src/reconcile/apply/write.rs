//! One object at a time: apply it if it differs, delete it if it is still the same one.

use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

use extconn_api::names::{ANNOTATION_ASKED_FOR, field_manager};
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::drift::is_as_desired;
use crate::reconcile::error::{Error, is_not_found};

/// A kind that the operator writes.
pub trait Written:
    Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize
{
}
impl<K> Written for K where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize
{
}

/// Makes `desired` so, unless `observed` shows that it is; returns the object as it is then.
pub async fn put<K: Written>(api: &Api<K>, desired: K, observed: Option<&K>) -> Result<K, Error> {
    let desired = marked(desired);
    if let Some(observed) = observed
        && is_as_desired(observed, &desired)
    {
        return Ok(observed.clone());
    }
    let applied = apply_as(api, &desired, field_manager::OPERATOR).await?;
    if is_as_desired(&applied, &desired) {
        return Ok(applied);
    }
    // Server-side apply keeps what others have added to a keyed list, such as a port of a
    // Service. A merge patch replaces the list.
    let parameters = PatchParams {
        field_manager: Some(field_manager::OPERATOR.into()),
        ..PatchParams::default()
    };
    api.patch(&desired.name_any(), &parameters, &Patch::Merge(&desired))
        .await
        .map_err(failure("restore", &desired))
}

/// With a digest of itself, so that an object of which less is desired than before differs from it:
/// what it has too much could as well be a default or another writer's. A build that computes
/// another digest writes each object once.
fn marked<K: Written>(mut desired: K) -> K {
    let mut hasher = DefaultHasher::new();
    let text = serde_json::to_string(&desired).expect("an object of the API is JSON");
    text.hash(&mut hasher);
    let digest = format!("{:016x}", hasher.finish());
    let annotations = desired.annotations_mut();
    annotations.insert(ANNOTATION_ASKED_FOR.to_owned(), digest);
    desired
}

/// Applies as the given field manager.
pub async fn apply_as<K: Written>(api: &Api<K>, desired: &K, manager: &str) -> Result<K, Error> {
    tracing::debug!(object = described(desired), "apply");
    api.patch(
        &desired.name_any(),
        &PatchParams::apply(manager).force(),
        &Patch::Apply(desired),
    )
    .await
    .map_err(failure("apply", desired))
}

/// Deletes this very object: not one that has come in its place, nor one that is gone.
pub async fn delete<K: Written>(api: &Api<K>, object: &K) -> Result<(), Error> {
    let uid = object.meta().uid.clone();
    delete_if(
        api,
        object,
        Preconditions {
            uid,
            resource_version: None,
        },
    )
    .await
}

/// Deletes an object if nobody has written to it since it was read.
pub async fn delete_unchanged<K: Written>(api: &Api<K>, object: &K) -> Result<(), Error> {
    let uid = object.meta().uid.clone();
    let resource_version = object.meta().resource_version.clone();
    delete_if(
        api,
        object,
        Preconditions {
            uid,
            resource_version,
        },
    )
    .await
}

async fn delete_if<K: Written>(
    api: &Api<K>,
    object: &K,
    preconditions: Preconditions,
) -> Result<(), Error> {
    tracing::debug!(object = described(object), "delete");
    let parameters = DeleteParams::background().preconditions(preconditions);
    match api.delete(&object.name_any(), &parameters).await {
        Ok(_) => Ok(()),
        Err(error) if is_not_found(&error) => Ok(()),
        Err(error) => Err(failure("delete", object)(error)),
    }
}

/// The error of a failed request about an object.
pub fn failure<K: Resource<DynamicType = ()>>(
    verb: &'static str,
    object: &K,
) -> impl FnOnce(kube::Error) -> Error {
    let object = described(object);
    move |source| Error::Request {
        verb,
        object,
        source,
    }
}

fn described<K: Resource<DynamicType = ()>>(object: &K) -> String {
    let name = object.meta().name.as_deref().unwrap_or_default();
    match object.meta().namespace.as_deref() {
        Some(namespace) => format!("{} {namespace}/{name}", K::kind(&())),
        None => format!("{} {name}", K::kind(&())),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::Deployment;
    use serde_json::json;

    use super::*;

    fn deployment(template_annotations: serde_json::Value) -> Deployment {
        let template = json!({"metadata": {"annotations": template_annotations}});
        serde_json::from_value(json!({
            "metadata": {"name": "forwarder-shop"},
            "spec": {"selector": {}, "template": template},
        }))
        .unwrap()
    }

    #[test]
    fn what_is_no_longer_asked_for_is_drift() {
        let more = marked(deployment(json!({"team": "a", "note": "b"})));
        let less = marked(deployment(json!({"team": "a"})));
        assert!(is_as_desired(&more, &more));
        assert!(!is_as_desired(&more, &less));
    }

    #[test]
    fn what_others_add_is_none() {
        let desired = marked(deployment(json!({"team": "a"})));
        let mut observed = desired.clone();
        let template = observed.spec.as_mut().unwrap();
        let metadata = template.template.metadata.as_mut().unwrap();
        let annotations = metadata.annotations.as_mut().unwrap();
        annotations.insert("kubectl.kubernetes.io/restartedAt".into(), "now".into());
        assert!(is_as_desired(&observed, &desired));
    }
}
