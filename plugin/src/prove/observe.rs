//! Reads the objects along the path of one ExternalService.

use extconn_api::{ExternalService, Forwarder, Gateway, names};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::ResourceExt;
use kube::api::{Api, ListParams};

use crate::cluster::{Cluster, api, installation, is_forbidden};
use crate::expose::service_key;
use crate::failure::Failure;

/// What the API server has.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    /// Where extconn runs.
    pub connector_namespace: String,
    /// The object.
    pub external_service: ExternalService,
    /// The operator's Deployments.
    pub operators: Vec<Deployment>,
    /// The forwarder's Deployment.
    pub deployment: Option<Deployment>,
    /// The forwarder's pods that are not being deleted.
    pub replicas: Vec<Pod>,
    /// The forwarder's Service, which pods dial.
    pub front: Option<Service>,
    /// Its Forwarder.
    pub forwarder: Option<Forwarder>,
    /// Gateways of its source IPs.
    pub gateways: Vec<Gateway>,
    /// Source Services, in the order of the spec.
    pub services: Vec<Option<Service>>,
    /// The other Services of their namespaces, as far as they may be listed.
    pub neighbours: Vec<Service>,
    /// EndpointSlices of the source Services; `None` if they may not be listed.
    pub slices: Option<Vec<EndpointSlice>>,
}

/// Reads them.
///
/// # Errors
/// The object does not exist, or the API server's refusal.
pub(crate) async fn observe(
    cluster: &Cluster,
    connector_namespace: &str,
    object: ExternalService,
) -> Result<Observed, Failure> {
    let name = object.name_any();
    let client = || cluster.client.clone();
    let deployments: Api<Deployment> = Api::namespaced(client(), connector_namespace);
    let pods: Api<Pod> = Api::namespaced(client(), connector_namespace);
    let fronts: Api<Service> = Api::namespaced(client(), connector_namespace);
    let forwarders: Api<Forwarder> = Api::namespaced(client(), connector_namespace);
    let gateways: Api<Gateway> = Api::namespaced(client(), connector_namespace);
    let of_forwarder = ListParams::default().labels(&format!("{}={name}", names::LABEL_NAME));
    let (operators, workload, everything) = (
        installation::operators(cluster, Some(connector_namespace)),
        names::forwarder_workload(&name),
        ListParams::default(),
    );
    let (operators, deployment, replicas, front, forwarder, gateways) = tokio::try_join!(
        operators,
        deployments.get_opt(&workload),
        pods.list(&of_forwarder),
        fronts.get_opt(&name),
        forwarders.get_opt(&name),
        gateways.list(&everything),
    )
    .map_err(api(format_args!(
        "read the objects of {name} in namespace {connector_namespace}"
    )))?;
    let wanted: Vec<&String> = object
        .spec
        .sources
        .iter()
        .map(|source| &source.source_ip)
        .collect();
    let Sources {
        services,
        neighbours,
        slices,
    } = sources(cluster, &object).await?;
    Ok(Observed {
        connector_namespace: connector_namespace.to_owned(),
        operators,
        deployment,
        replicas: replicas
            .items
            .into_iter()
            .filter(|pod| pod.metadata.deletion_timestamp.is_none())
            .collect(),
        front,
        forwarder,
        gateways: gateways
            .items
            .into_iter()
            .filter(|gateway| wanted.contains(&&gateway.spec.source_ip))
            .collect(),
        services,
        neighbours,
        slices,
        external_service: object,
    })
}

struct Sources {
    services: Vec<Option<Service>>,
    neighbours: Vec<Service>,
    slices: Option<Vec<EndpointSlice>>,
}

async fn sources(cluster: &Cluster, object: &ExternalService) -> Result<Sources, Failure> {
    let (mut services, mut neighbours) = (Vec::new(), Vec::new());
    let mut slices = Some(Vec::new());
    for source in &object.spec.sources {
        let key = service_key(object, source);
        let of_namespace: Api<Service> = Api::namespaced(cluster.client.clone(), &key.namespace);
        services.push(
            of_namespace
                .get_opt(&key.name)
                .await
                .map_err(api(format_args!("read Service {key}")))?,
        );
        match of_namespace.list(&ListParams::default()).await {
            Ok(list) => neighbours.extend(list.items),
            Err(error) if is_forbidden(&error) => {}
            Err(error) => return Err(api("list Services")(error)),
        }
        let of_namespace: Api<EndpointSlice> =
            Api::namespaced(cluster.client.clone(), &key.namespace);
        let of_service =
            ListParams::default().labels(&format!("kubernetes.io/service-name={}", key.name));
        match of_namespace.list(&of_service).await {
            Ok(list) => slices
                .iter_mut()
                .for_each(|all| all.extend(list.items.clone())),
            Err(error) if is_forbidden(&error) => slices = None,
            Err(error) => {
                return Err(api(format_args!("list EndpointSlices of Service {key}"))(
                    error,
                ));
            }
        }
    }
    Ok(Sources {
        services,
        neighbours,
        slices,
    })
}
