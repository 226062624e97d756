//! What the user may do, asked before it is tried.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::{Api, PostParams};

use super::{Cluster, api};
use crate::failure::Failure;

/// Something that the user must be permitted to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Permission {
    /// `create`.
    pub verb: &'static str,
    /// API group; empty for the core.
    pub group: &'static str,
    /// `deployments`, or `serviceaccounts/token`.
    pub resource: &'static str,
    /// Namespace; cluster-wide if `None`.
    pub namespace: Option<String>,
}

impl std::fmt::Display for Permission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            verb,
            group,
            resource,
            namespace,
        } = self;
        write!(f, "{verb} {resource}")?;
        if !group.is_empty() {
            write!(f, ".{group}")?;
        }
        match namespace {
            Some(namespace) => write!(f, " in namespace {namespace}"),
            None => write!(f, " in the whole cluster"),
        }
    }
}

/// What installing and `init` need.
pub(crate) fn of_init(connector_namespace: &str, release_namespace: &str) -> Vec<Permission> {
    let wide = |verb, group, resource| Permission {
        verb,
        group,
        resource,
        namespace: None,
    };
    let within = |namespace: &str, verb, group, resource| Permission {
        verb,
        group,
        resource,
        namespace: Some(namespace.to_owned()),
    };
    let inside = |verb, group, resource| within(connector_namespace, verb, group, resource);
    const RBAC: &str = "rbac.authorization.k8s.io";
    vec![
        wide(
            "create",
            "apiextensions.k8s.io",
            "customresourcedefinitions",
        ),
        wide("create", RBAC, "clusterroles"),
        wide("create", RBAC, "clusterrolebindings"),
        wide("create", "", "namespaces"),
        within(release_namespace, "create", "", "secrets"),
        inside("create", "apps", "deployments"),
        inside("create", RBAC, "roles"),
        inside("create", RBAC, "rolebindings"),
        inside("create", "", "serviceaccounts"),
        inside("create", "", "serviceaccounts/token"),
        inside("patch", "", "configmaps"),
        inside("create", "extconn.submariner.io", "gateways"),
        inside("delete", "extconn.submariner.io", "gateways"),
    ]
}

/// Those of `permissions` that the user does not have, in order.
///
/// # Errors
/// The API server does not answer.
pub(crate) async fn missing(
    cluster: &Cluster,
    permissions: Vec<Permission>,
) -> Result<Vec<Permission>, Failure> {
    let asked = permissions.into_iter().map(|permission| async move {
        let allowed = is_allowed(cluster, &permission).await?;
        Ok((!allowed).then_some(permission))
    });
    let answers: Vec<Option<Permission>> = futures::future::try_join_all(asked).await?;
    Ok(answers.into_iter().flatten().collect())
}

async fn is_allowed(cluster: &Cluster, permission: &Permission) -> Result<bool, Failure> {
    let (resource, subresource) = match permission.resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
        None => (permission.resource, None),
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                verb: Some(permission.verb.to_owned()),
                group: Some(permission.group.to_owned()),
                resource: Some(resource.to_owned()),
                subresource,
                namespace: permission.namespace.clone(),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let reviews: Api<SelfSubjectAccessReview> = Api::all(cluster.client.clone());
    let answer = reviews.create(&PostParams::default(), &review).await;
    let answer = answer.map_err(api("ask what you may do"))?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_reads_as_an_administrator_would_grant_it() {
        let texts: Vec<String> = of_init("external-services", "default")
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            texts[0],
            "create customresourcedefinitions.apiextensions.k8s.io in the whole cluster"
        );
        assert!(
            texts.contains(
                &"create serviceaccounts/token in namespace external-services".to_owned()
            )
        );
    }
}
