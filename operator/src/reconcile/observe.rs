//! Step 1: what there is, from the watched stores. It reads no API and judges nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use extconn_api::{ExternalService, Forwarder, Gateway, NamespacedName, names};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;

use crate::controller::stores::Stores;
use crate::reconcile::ownership;

/// Everything that the further steps may look at.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The object to reconcile.
    pub external_service: Arc<ExternalService>,
    /// Other ExternalServices of the same name or with a source IP in common.
    pub rivals: Vec<Arc<ExternalService>>,
    /// The Services that it or a rival lists, as far as they exist.
    pub services: BTreeMap<NamespacedName, Arc<Service>>,
    /// Gateways of its source IPs, and those that still have an entry of its name.
    pub gateways: BTreeMap<String, Arc<Gateway>>,
    /// What has been made for it.
    pub children: Children,
    /// What of this cluster has the address of its target, if anything has.
    pub at_target: Option<AtTarget>,
    /// Names of its forwarder's pods.
    pub pods: BTreeSet<String>,
}

/// What of this cluster has an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AtTarget {
    /// The Service of this cluster IP.
    Service(NamespacedName),
    /// The node of this name.
    Node(String),
}

impl Observed {
    /// Names of all Gateways that may have a grant for it: the watch may be behind one that has
    /// just been made.
    pub fn gateway_names(&self) -> BTreeSet<String> {
        let sources = self.external_service.spec.sources.iter();
        let named = sources.map(|source| source.source_ip.clone());
        named.chain(self.gateways.keys().cloned()).collect()
    }
}

/// Objects of the names that the operator gives, whoever made them.
#[derive(Clone, Debug, Default)]
pub struct Children {
    /// The Forwarder.
    pub forwarder: Option<Arc<Forwarder>>,
    /// The forwarder's Deployment.
    pub deployment: Option<Arc<Deployment>>,
    /// The forwarder's PodDisruptionBudget.
    pub disruption_budget: Option<Arc<PodDisruptionBudget>>,
    /// The Service that pods dial.
    pub service: Option<Arc<Service>>,
    /// The forwarder's ServiceAccount.
    pub service_account: Option<Arc<ServiceAccount>>,
    /// Its Role in the connector namespace.
    pub role: Option<Arc<Role>>,
    /// The binding of that Role, and those in the namespaces of source Services.
    pub role_bindings: Vec<Arc<RoleBinding>>,
}

/// Looks up everything that concerns `external_service`.
pub fn observe(external_service: Arc<ExternalService>, stores: &Stores) -> Observed {
    let key = ownership::key(&*external_service);
    let rivals = stores.rivals(&external_service);
    let services = std::iter::once(&external_service)
        .chain(&rivals)
        .flat_map(|es| ownership::listed_services(es))
        .filter_map(|name| {
            let service = stores
                .services
                .get(&object_ref(&name.namespace, &name.name))?;
            Some((name, service))
        })
        .collect();
    let connector = &stores.connector_namespace;
    let sources = external_service.spec.sources.iter();
    let named = sources.filter_map(|s| stores.gateways.get(&object_ref(connector, &s.source_ip)));
    let granting = stores
        .gateways_by_grant
        .with(std::slice::from_ref(&key.name));
    let gateways = named
        .chain(granting)
        .map(|gateway| (gateway.name_any(), gateway))
        .collect();
    let pods = stores.pods_by_owner.with(std::slice::from_ref(&key));
    let pods = pods.iter().map(|pod| pod.name_any()).collect();
    let at_target = at_target(&external_service.spec.target_ip, stores);
    let children = children(&key, stores);
    Observed {
        external_service,
        rivals,
        services,
        gateways,
        children,
        at_target,
        pods,
    }
}

fn at_target(target_ip: &String, stores: &Stores) -> Option<AtTarget> {
    let address = std::slice::from_ref(target_ip);
    let services = stores.services_by_cluster_ip.with(address);
    let services = services
        .iter()
        .map(|s| AtTarget::Service(ownership::key(&**s)));
    let nodes = stores.nodes_by_address.with(address);
    let nodes = nodes.iter().map(|node| AtTarget::Node(node.name_any()));
    services.chain(nodes).next()
}

fn children(key: &NamespacedName, stores: &Stores) -> Children {
    let namespace = &stores.connector_namespace;
    let workload = names::forwarder_workload(&key.name);
    Children {
        forwarder: stores.forwarders.get(&object_ref(namespace, &key.name)),
        deployment: stores.deployments.get(&object_ref(namespace, &workload)),
        disruption_budget: stores
            .disruption_budgets
            .get(&object_ref(namespace, &workload)),
        service: stores.services.get(&object_ref(namespace, &key.name)),
        service_account: stores
            .service_accounts
            .get(&object_ref(namespace, &workload)),
        role: stores.roles.get(&object_ref(namespace, &workload)),
        role_bindings: stores
            .role_bindings_by_owner
            .with(std::slice::from_ref(key)),
    }
}

fn object_ref<K>(namespace: &str, name: &str) -> ObjectRef<K>
where
    K: kube::Resource<DynamicType = ()>,
{
    ObjectRef::new(name).within(namespace)
}
