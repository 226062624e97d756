//! Keeps in one object what admission has to know and cannot read itself: which Services'
//! owners consent, and which source IPs are reserved. See docs/decisions/0042-admission.md
//! and 0080-permissions-of-our-own-kind.md.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use extconn_api::names::{self, field_manager};
use extconn_api::permission::{self, Namespaces};
use extconn_api::{Gateway, NamespacedName, Permissions, PermissionsSpec};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Service;
use kube::api::{Api, ObjectMeta};
use kube::runtime::watcher;
use kube::{Client, ResourceExt};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::controller::Context;
use crate::controller::stores::{Changes, Stores, wait_for, watched};
use crate::reconcile::apply_as;

/// How soon a write that failed is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// Changes that follow each other closer than this are published together.
const DEBOUNCE: Duration = Duration::from_millis(50);

/// Most that the consents may take up, in bytes: etcd refuses an object of 1.5 MiB.
const MOST: usize = 900 << 10;

/// The same changes, ringing the bell with each.
pub fn ringing<K: Send + 'static>(changes: Changes<K>, bell: Arc<Notify>) -> Changes<K> {
    changes.inspect_ok(move |_| bell.notify_one()).boxed()
}

/// Keeps the object in line with Services and Gateways; ends with its watch.
pub async fn publish(client: Client, context: Arc<Context>, bell: Arc<Notify>) {
    let own =
        watcher::Config::default().fields(&format!("metadata.name={}", permission::PERMISSIONS));
    let namespace = &context.settings.connector_namespace;
    let mut published = watched(Api::<Permissions>::namespaced(client, namespace), own);
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
    let api: Api<Permissions> = context.connector();
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
        if observed.is_some_and(|observed| observed.spec.entries == desired) {
            continue;
        }
        let desired = object(namespace, desired);
        if let Err(error) = apply_as(&api, &desired, field_manager::OPERATOR).await {
            tracing::warn!(%error, "failed to publish the permissions, trying again");
        }
    }
}

fn object(namespace: &str, entries: BTreeMap<String, String>) -> Permissions {
    let label = (
        names::LABEL_MANAGED_BY.to_owned(),
        names::MANAGED_BY.to_owned(),
    );
    Permissions {
        metadata: ObjectMeta {
            name: Some(permission::PERMISSIONS.into()),
            namespace: Some(namespace.to_owned()),
            labels: Some([label].into()),
            ..ObjectMeta::default()
        },
        spec: PermissionsSpec { entries },
    }
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
    use serde_json::json;

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
