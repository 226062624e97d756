//! Which pod to put behind a source Service, or why none.

use std::collections::BTreeMap;

use extconn_api::external_service::Port;
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;

use super::Asked;
use super::observe::Observed;
use super::probe_pod::ProbePod;
use super::source::ready_replicas;
use crate::cluster::pods::PROBE_PREFIX;
use crate::expose::service_key;

/// What a pod dials.
fn dialled_port(port: &Port) -> u16 {
    port.target_port.unwrap_or(port.port)
}

/// `Err` says why no pod can be put behind the Service.
pub(crate) fn probe_pod(
    asked: &Asked<'_>,
    seen: &Observed,
    index: usize,
) -> Result<ProbePod, String> {
    let object = &seen.external_service;
    let key = service_key(object, &object.spec.sources[index]);
    let spec = |service: &Option<Service>| service.as_ref()?.spec.clone();
    let selector = spec(&seen.services[index])
        .and_then(|spec| spec.selector)
        .filter(|selector| !selector.is_empty())
        .ok_or_else(|| format!("Service {key} has no selector, so no pod can be put behind it"))?;
    if let Some(eager) = publishes_unready(&seen.neighbours, &key.namespace, &selector) {
        return Err(format!(
            "Service {eager} publishes pods that are not ready: a probe pod would receive its traffic"
        ));
    }
    let container = ready_replicas(seen)
        .find_map(|replica| replica.spec.as_ref()?.containers.first().cloned())
        .ok_or("no forwarder is ready")?;
    let name = format!("{}.{}.svc", object.name_any(), seen.connector_namespace);
    let addresses = ready_replicas(seen).filter_map(|pod| pod.status.as_ref()?.pod_ip.clone());
    let hosts: Vec<String> = std::iter::once(name).chain(addresses).collect();
    let dial = object.spec.ports.iter().flat_map(|port| {
        hosts
            .iter()
            .map(move |host| format!("{host}:{}", dialled_port(port)))
    });
    Ok(ProbePod {
        name: format!("{PROBE_PREFIX}{}-{}", asked.made.count(), asked.run),
        namespace: key.namespace,
        selector,
        image: container.image.unwrap_or_default(),
        pull_policy: container.image_pull_policy,
        dial: dial.collect(),
        http_get: asked.echo.map(str::to_owned),
        watched: asked.target_of(object).is_some(),
        run: asked.run.clone(),
    })
}

/// A Service that a pod with these labels would be behind, ready or not.
fn publishes_unready(
    services: &[Service],
    namespace: &str,
    labels: &BTreeMap<String, String>,
) -> Option<String> {
    let takes = |service: &&Service| {
        let spec = service.spec.clone().unwrap_or_default();
        let selector = spec.selector.unwrap_or_default();
        service.namespace().as_deref() == Some(namespace)
            && spec.publish_not_ready_addresses == Some(true)
            && !selector.is_empty()
            && selector
                .iter()
                .all(|(key, value)| labels.get(key) == Some(value))
    };
    let service = services.iter().find(takes)?;
    Some(format!("{namespace}/{}", service.name_any()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_service_that_publishes_pods_before_they_are_ready_would_send_them_traffic() {
        let service = |publishes: bool, selector: serde_json::Value| -> Service {
            serde_json::from_value(json!({
                "metadata": {"namespace": "ns1", "name": "peers"},
                "spec": {"selector": selector, "publishNotReadyAddresses": publishes},
            }))
            .unwrap()
        };
        let labels = BTreeMap::from([("app".to_owned(), "db".to_owned())]);
        let found = |service: Service| publishes_unready(&[service], "ns1", &labels);
        let eager = found(service(true, json!({"app": "db"})));
        assert_eq!(eager.as_deref(), Some("ns1/peers"));
        assert_eq!(found(service(false, json!({"app": "db"}))), None);
        assert_eq!(found(service(true, json!({"app": "db", "x": "y"}))), None);
        assert_eq!(found(service(true, json!({}))), None);
    }
}
