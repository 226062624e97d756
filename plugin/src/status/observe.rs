//! Reads the objects that a status is made of.

use extconn_api::{ExternalService, Forwarder, Gateway};
use kube::ResourceExt;
use kube::api::{Api, ListParams};

use crate::cluster::{Cluster, api, is_forbidden, is_not_found};
use crate::failure::Failure;

/// Which ExternalServices to show.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    /// Namespace; all if `None`.
    pub namespace: Option<String>,
    /// Name; all if `None`.
    pub name: Option<String>,
}

impl Scope {
    /// Where is looked, in words.
    pub(crate) fn place(&self) -> String {
        let namespace = self.namespace.as_ref();
        namespace.map_or("any namespace".to_owned(), |name| {
            format!("namespace {name}")
        })
    }
}

/// What the API server has.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    /// Those in the scope.
    pub external_services: Vec<ExternalService>,
    /// All Forwarders; `None` if the user may not read them.
    pub forwarders: Option<Vec<Forwarder>>,
    /// All Gateways; `None` if the user may not read them.
    pub gateways: Option<Vec<Gateway>>,
}

/// Reads them.
///
/// # Errors
/// extconn is not installed, the named one does not exist, or the API server's refusal.
pub(crate) async fn observe(
    cluster: &Cluster,
    connector_namespace: &str,
    scope: &Scope,
) -> Result<Observed, Failure> {
    let external_services = external_services(cluster, scope).await?;
    let client = || cluster.client.clone();
    let everything = ListParams::default();
    let forwarders: Api<Forwarder> = Api::namespaced(client(), connector_namespace);
    let gateways: Api<Gateway> = Api::namespaced(client(), connector_namespace);
    let (forwarders, gateways) =
        tokio::join!(forwarders.list(&everything), gateways.list(&everything));
    let forwarders = if_permitted(
        forwarders.map(|list| list.items),
        "Forwarders",
        connector_namespace,
    )?;
    let gateways = if_permitted(
        gateways.map(|list| list.items),
        "Gateways",
        connector_namespace,
    )?;
    Ok(Observed {
        external_services,
        forwarders,
        gateways,
    })
}

/// `namespace/name`.
pub(crate) fn described(object: &ExternalService) -> String {
    format!(
        "{}/{}",
        object.namespace().unwrap_or_default(),
        object.name_any()
    )
}

/// The ExternalServices in the scope.
///
/// # Errors
/// As [`observe`].
pub(crate) async fn external_services(
    cluster: &Cluster,
    scope: &Scope,
) -> Result<Vec<ExternalService>, Failure> {
    let api_in: Api<ExternalService> = match &scope.namespace {
        Some(namespace) => Api::namespaced(cluster.client.clone(), namespace),
        None => Api::all(cluster.client.clone()),
    };
    if let Some(name) = &scope.name {
        let namespace = scope.namespace.as_deref().unwrap_or_default();
        let found = api_in
            .get_opt(name)
            .await
            .map_err(api(format_args!("read ExternalService {namespace}/{name}")))?;
        return match found {
            Some(found) => Ok(vec![found]),
            None => Err(Failure::failed(format!(
                "there is no ExternalService {name} in namespace {namespace}"
            ))
            .next("see which there are with `kubectl extconn status -A`")),
        };
    }
    match api_in.list(&ListParams::default()).await {
        Ok(list) => Ok(list.items),
        Err(error) if is_not_found(&error) => Err(not_installed()),
        Err(error) => Err(api("list ExternalServices")(error)),
    }
}

/// The cluster does not know our kinds.
pub(crate) fn not_installed() -> Failure {
    Failure::could_not_run("extconn is not installed: the cluster does not know ExternalServices")
        .next("install it with `kubectl extconn init`")
}

fn if_permitted<T>(
    list: Result<Vec<T>, kube::Error>,
    kinds: &str,
    namespace: &str,
) -> Result<Option<Vec<T>>, Failure> {
    match list {
        Ok(items) => Ok(Some(items)),
        Err(error) if is_forbidden(&error) => Ok(None),
        Err(error) if is_not_found(&error) => Err(not_installed()),
        Err(error) => Err(api(format_args!("list {kinds} in namespace {namespace}"))(
            error,
        )),
    }
}
