//! Keeps in one ConfigMap what admission has to know and cannot read itself: which Services'
//! owners consent, and which source IPs are reserved. See docs/decisions/0042-admission.md.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use extconn_api::names::{self, field_manager};
use extconn_api::permission::{self, Namespaces};
use extconn_api::{Gateway, NamespacedName};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::api::{Api, ObjectMeta, Patch, PatchParams};
use kube::runtime::watcher;
use kube::{Client, ResourceExt};
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::controller::Context;
use crate::controller::stores::{Changes, Stores, wait_for, watched};
use crate::reconcile::apply_as;

/// How soon a write that failed is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// Changes that follow each other closer than this are published together.
const DEBOUNCE: Duration = Duration::from_millis(50);

/// Most that the consents may take up, in bytes: an object of 1 MiB is refused.
const MOST: usize = 900 << 10;

/// The same changes, ringing the bell with each.
pub fn ringing<K: Send + 'static>(changes: Changes<K>, bell: Arc<Notify>) -> Changes<K> {
    changes.inspect_ok(move |_| bell.notify_one()).boxed()
}

/// Keeps the ConfigMap in line with Services and Gateways; ends with its watch.
pub async fn publish(client: Client, context: Arc<Context>, bell: Arc<Notify>) {
    let own =
        watcher::Config::default().fields(&format!("metadata.name={}", permission::PERMISSIONS));
    let namespace = &context.settings.connector_namespace;
    let mut published = watched(Api::<ConfigMap>::namespaced(client, namespace), own);
    let all_seen = published.all_seen.clone();
    let seen = tokio::spawn({
        let bell = bell.clone();
        async move {
            // An empty list makes no change, so that all has been seen is one of its own.
            if wait_for(&all_seen).await.is_ok() {
                bell.notify_one();
            }
        }
    });
    if context.stores.wait_until_ready().await.is_err() {
        seen.abort();
        return;
    }
    let api: Api<ConfigMap> = context.connector();
    loop {
        let waited = timeout(RETRY, async {
            tokio::select! {
                () = bell.notified() => {
                    tokio::time::sleep(DEBOUNCE).await;
                    true
                }
                change = published.changes.next() => change.is_some(),
            }
        });
        if waited.await == Ok(false) {
            seen.abort();
            return;
        }
        if !*published.all_seen.borrow() {
            continue;
        }
        let desired = permissions(&context.stores);
        let observed = published.store.state().pop();
        let data = observed.map(|observed| observed.data.clone().unwrap_or_default());
        if data.as_ref() == Some(&desired) {
            continue;
        }
        if let Err(error) = write(&api, namespace, desired).await {
            tracing::warn!(%error, "failed to publish the permissions, trying again");
        }
    }
}

async fn write(
    api: &Api<ConfigMap>,
    namespace: &str,
    desired: BTreeMap<String, String>,
) -> anyhow::Result<()> {
    let label = (
        names::LABEL_MANAGED_BY.to_owned(),
        names::MANAGED_BY.to_owned(),
    );
    let config_map = ConfigMap {
        metadata: ObjectMeta {
            name: Some(permission::PERMISSIONS.into()),
            namespace: Some(namespace.to_owned()),
            labels: Some([label].into()),
            ..ObjectMeta::default()
        },
        data: Some(desired.clone()),
        ..ConfigMap::default()
    };
    let applied = apply_as(api, &config_map, field_manager::OPERATOR).await?;
    // Server-side apply keeps what others have added: here it would permit something.
    let surplus: BTreeMap<String, ()> = applied
        .data
        .unwrap_or_default()
        .into_keys()
        .filter(|key| !desired.contains_key(key))
        .map(|key| (key, ()))
        .collect();
    if !surplus.is_empty() {
        let parameters = PatchParams {
            field_manager: Some(field_manager::OPERATOR.into()),
            ..PatchParams::default()
        };
        let removed = Patch::Merge(json!({"data": surplus}));
        api.patch(permission::PERMISSIONS, &parameters, &removed)
            .await?;
    }
    Ok(())
}

fn permissions(stores: &Stores) -> BTreeMap<String, String> {
    let services = stores.services.state();
    let gateways = stores.gateways.state();
    let mut permissions: BTreeMap<String, String> = services
        .iter()
        .filter_map(|service| consent(service))
        .collect();
    let size: usize = permissions.iter().map(|(k, v)| k.len() + v.len()).sum();
    if size > MOST {
        permissions.clear();
        permissions.insert(permission::INCOMPLETE.into(), "true".into());
    }
    permissions.extend(gateways.iter().filter_map(|gateway| reservation(gateway)));
    permissions
}

fn consent(service: &Service) -> Option<(String, String)> {
    let namespaces = Namespaces::parse(service.annotations().get(permission::EXPOSED_TO)?);
    let key = NamespacedName {
        namespace: service.namespace()?,
        name: service.name_any(),
    };
    (!namespaces.is_empty()).then(|| (permission::consent_key(&key), namespaces.to_string()))
}

fn reservation(gateway: &Gateway) -> Option<(String, String)> {
    let allowed = gateway.status.as_ref()?.allowed_namespaces.as_ref()?;
    let key = permission::reservation_key(&gateway.spec.source_ip);
    Some((key, allowed.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(exposed_to: &str) -> Service {
        let object = json!({"metadata": {"namespace": "bank", "name": "payments",
            "annotations": {"extconn.submariner.io/exposed-to": exposed_to}}});
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn a_consent_is_published_as_admission_reads_it() {
        let entry =
            |namespaces: &str| Some(("service.bank.payments".to_owned(), namespaces.to_owned()));
        assert_eq!(consent(&service(" shop , crm,")), entry("crm,shop"));
        assert_eq!(consent(&service("*")), entry("*"));
        assert_eq!(consent(&service(" , ")), None);
        assert_eq!(consent(&Service::default()), None);
    }

    #[test]
    fn a_reservation_is_published_as_admission_reads_it() {
        let gateway = json!({
            "apiVersion": "extconn.submariner.io/v1alpha1", "kind": "Gateway",
            "metadata": {"name": "192.0.2.10"}, "spec": {"sourceIP": "192.0.2.10"},
            "status": {"allowedNamespaces": ["bank", "crm"]},
        });
        let mut gateway: Gateway = serde_json::from_value(gateway).unwrap();
        let entry = ("source-ip.192.0.2.10".to_owned(), "bank,crm".to_owned());
        assert_eq!(reservation(&gateway), Some(entry));
        gateway.status = None;
        assert_eq!(reservation(&gateway), None);
    }
}
