//! Pure: which ExternalServices a changed object concerns.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use extconn_api::condition::{self, ExternalServiceCondition as Type};
use extconn_api::gateway::{ForwarderGrant, GatewayStatus};
use extconn_api::{ExternalService, Gateway};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};

use crate::controller::wish::Wish;
use crate::reconcile::ownership;

/// A reference to an ExternalService.
pub type ExternalServiceRef = ObjectRef<ExternalService>;

/// Of an object that the operator makes for one ExternalService: that one.
pub fn by_owner(object: &impl Resource) -> Option<ExternalServiceRef> {
    let owner = ownership::made_for(object)?;
    Some(ObjectRef::new(&owner.name).within(&owner.namespace))
}

/// What those want that a change of this Service concerns: to list it or, in the connector
/// namespace, to have its name.
pub fn wishes_for_service(service: &Service, connector_namespace: &str) -> Vec<Wish> {
    let key = ownership::key(service);
    let name = (key.namespace == connector_namespace).then(|| Wish::Name(key.name.clone()));
    name.into_iter().chain([Wish::Service(key)]).collect()
}

/// What those want that a change of a Gateway may concern: see [`by_gateway`].
pub fn wishes_for_gateway(before: Option<&Gateway>, now: Option<&Gateway>) -> Vec<Wish> {
    let source_ip = now.or(before).map(|g| Wish::SourceIp(g.name_any()));
    let forwarders = changed_grants(before, now);
    let names = forwarders
        .into_iter()
        .map(|name| Wish::Name(name.to_owned()));
    source_ip.into_iter().chain(names).collect()
}

/// Of a Gateway that was `before` and is `now`, among `all`: those whose grant has changed; those
/// with its source IP, if it reports something else; of these, only the ones that wait for it if
/// all that has changed is how far it is.
///
/// A Gateway is shared, and each change of one grant changes its generation and status: if all
/// looked at each, setting up many would take the square of their number.
pub fn by_gateway(
    before: Option<&Gateway>,
    now: Option<&Gateway>,
    all: &[Arc<ExternalService>],
) -> Vec<ExternalServiceRef> {
    let Some(name) = now
        .or(before)
        .and_then(|gateway| gateway.metadata.name.as_deref())
    else {
        return vec![];
    };
    let changed = changed_grants(before, now);
    let news = before.map(reported) != now.map(reported);
    all.iter()
        .filter(|es| {
            let uses = es
                .spec
                .sources
                .iter()
                .any(|source| source.source_ip == name);
            (uses && (news || !is_programmed(es))) || changed.contains(&*es.name_any())
        })
        .map(|es| ObjectRef::from_obj(&**es))
        .collect()
}

/// The forwarders to which one grants something else than the other.
fn changed_grants<'a>(before: Option<&'a Gateway>, now: Option<&'a Gateway>) -> BTreeSet<&'a str> {
    let grants = |gateway: Option<&'a Gateway>| -> BTreeMap<&'a str, &'a ForwarderGrant> {
        let grants = gateway
            .into_iter()
            .flat_map(|gateway| &gateway.spec.forwarders);
        grants.map(|grant| (&*grant.name, grant)).collect()
    };
    let (before, now) = (grants(before), grants(now));
    let names = before.keys().chain(now.keys());
    names
        .filter(|name| before.get(*name) != now.get(*name))
        .copied()
        .collect()
}

/// What a gateway says, but for how far it is and since when.
fn reported(gateway: &Gateway) -> Option<GatewayStatus> {
    let mut status = gateway.status.clone()?;
    status.observed_generation = None;
    for condition in &mut status.conditions {
        condition.observed_generation = None;
        condition.last_transition_time = Time(Timestamp::UNIX_EPOCH);
    }
    Some(status)
}

fn is_programmed(external_service: &ExternalService) -> bool {
    let conditions = external_service
        .status
        .iter()
        .flat_map(|status| &status.conditions);
    let generation = external_service.metadata.generation;
    conditions
        .filter(|c| c.type_ == Type::Programmed.to_string())
        .any(|c| c.status == "True" && c.observed_generation == generation)
}

/// What of an ExternalService matters to those that want the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    generation: Option<i64>,
    accepted: Option<String>,
    /// Status and message: a source that it may not have, or no longer, is no claim.
    sources: Option<(String, String)>,
}

impl Claim {
    /// The claim of an ExternalService.
    pub fn of(external_service: &ExternalService) -> Self {
        let conditions = external_service
            .status
            .as_ref()
            .map(|status| status.conditions.as_slice())
            .unwrap_or_default();
        Self {
            generation: external_service.metadata.generation,
            accepted: condition::find(conditions, Type::Accepted).map(|c| c.status.clone()),
            sources: condition::find(conditions, Type::SourcesResolved)
                .map(|c| (c.status.clone(), c.message.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn external_service(name: &str, programmed: &str) -> Arc<ExternalService> {
        let object = json!({
            "apiVersion": "submariner.io/v1alpha1",
            "kind": "ExternalService",
            "metadata": {"name": name, "namespace": "shop", "generation": 1},
            "spec": {"targetIP": "203.0.113.7", "ports": [{"port": 80}],
                     "sources": [{"service": {"name": "web"}, "sourceIP": "192.0.2.10"}]},
            "status": {"conditions": [{
                "type": "Programmed", "status": programmed, "reason": "R", "message": "",
                "observedGeneration": 1, "lastTransitionTime": "2026-11-23T10:00:00Z"}]},
        });
        Arc::new(serde_json::from_value(object).unwrap())
    }

    /// The gateway of 192.0.2.10 with an empty grant for each of these, at a generation.
    fn gateway(grants: &[&str], generation: i64, host: &str) -> Gateway {
        let grants: Vec<_> = grants.iter().map(|name| json!({"name": name})).collect();
        let object = json!({
            "apiVersion": "extconn.submariner.io/v1alpha1",
            "kind": "Gateway",
            "metadata": {"name": "192.0.2.10", "generation": generation},
            "spec": {"sourceIP": "192.0.2.10", "forwarders": grants},
            "status": {"hostName": host, "observedGeneration": generation, "conditions": [{
                "type": "Programmed", "status": "True", "reason": "R", "message": "",
                "observedGeneration": generation, "lastTransitionTime": "2026-11-23T10:00:00Z"}]},
        });
        serde_json::from_value(object).unwrap()
    }

    fn check(before: Option<Gateway>, now: Option<Gateway>, expect: &[&str]) {
        let all = [
            external_service("up", "True"),
            external_service("waiting", "False"),
        ];
        let triggered = by_gateway(before.as_ref(), now.as_ref(), &all);
        let names: Vec<_> = triggered
            .iter()
            .map(|object| object.name.as_str())
            .collect();
        assert_eq!(names, expect);
    }

    #[test]
    fn a_change_for_others_concerns_only_those_that_wait() {
        let before = gateway(&["up", "waiting"], 1, "gw1");
        let now = gateway(&["up", "waiting", "other"], 2, "gw1");
        check(Some(before), Some(now), &["waiting"]);
    }

    #[test]
    fn a_changed_grant_concerns_its_forwarder() {
        let before = gateway(&["up", "waiting"], 1, "gw1");
        check(
            Some(before),
            Some(gateway(&["waiting"], 2, "gw1")),
            &["up", "waiting"],
        );
    }

    #[test]
    fn what_a_gateway_reports_and_whether_it_is_there_concerns_all() {
        let grants = ["up", "waiting"];
        let before = || Some(gateway(&grants, 1, "gw1"));
        check(before(), Some(gateway(&grants, 1, "gw2")), &grants);
        check(before(), None, &grants);
        check(None, before(), &grants);
    }
}
