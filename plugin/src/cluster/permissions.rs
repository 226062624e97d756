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
    pub group: String,
    /// `deployments`, or `serviceaccounts/token`.
    pub resource: String,
    /// Namespace; cluster-wide if `None`.
    pub namespace: Option<String>,
}

impl Permission {
    /// Whether it can be done without by those who have themselves whatever a role grants.
    pub(crate) fn may_be_done_without(&self) -> bool {
        ["escalate", "bind"].contains(&self.verb)
    }

    /// What it is for: `deployments.apps in namespace x`.
    fn object(&self) -> String {
        let Self {
            verb: _,
            group,
            resource,
            namespace,
        } = self;
        let dot = if group.is_empty() { "" } else { "." };
        match namespace {
            Some(namespace) => format!("{resource}{dot}{group} in namespace {namespace}"),
            None => format!("{resource}{dot}{group} in the whole cluster"),
        }
    }
}

impl std::fmt::Display for Permission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.verb, self.object())
    }
}

/// What installing and `init` need: what helm does with each kind of the chart and with its own
/// records, and what `init` does itself.
pub(crate) fn of_init(connector_namespace: &str, release_namespace: &str) -> Vec<Permission> {
    const RBAC: &str = "rbac.authorization.k8s.io";
    const APPLIED: &[&str] = &["create", "get", "patch", "delete"];
    // Roles hold more than whoever installs may have.
    const GRANTED: &[&str] = &["create", "get", "patch", "delete", "escalate", "bind"];
    let (inside, records) = (Some(connector_namespace), Some(release_namespace));
    const OURS: &str = "extconn.submariner.io";
    const ADMISSION: &str = "admissionregistration.k8s.io";
    let needed: [(Option<&str>, &str, &str, &[&'static str]); 18] = [
        (
            None,
            "apiextensions.k8s.io",
            "customresourcedefinitions",
            &["create", "get", "patch"],
        ),
        (None, RBAC, "clusterroles", GRANTED),
        (None, RBAC, "clusterrolebindings", APPLIED),
        (None, "", "namespaces", APPLIED),
        (None, ADMISSION, "validatingadmissionpolicies", APPLIED),
        // Whoever writes a policy must be able to read all that it goes by.
        (None, OURS, "permissions", APPLIED),
        (
            None,
            ADMISSION,
            "validatingadmissionpolicybindings",
            APPLIED,
        ),
        (
            records,
            "",
            "secrets",
            &["create", "get", "list", "update", "delete"],
        ),
        (
            inside,
            "apps",
            "deployments",
            &["create", "get", "list", "patch", "delete"],
        ),
        (inside, "policy", "poddisruptionbudgets", APPLIED),
        (inside, RBAC, "roles", GRANTED),
        (inside, RBAC, "rolebindings", APPLIED),
        (inside, "", "serviceaccounts", APPLIED),
        (inside, "", "serviceaccounts/token", &["create"]),
        (
            inside,
            "",
            "configmaps",
            &["create", "list", "patch", "delete"],
        ),
        (inside, "", "pods", &["create", "get", "list", "delete"]),
        (inside, "", "pods/log", &["get"]),
        (
            inside,
            OURS,
            "gateways",
            &["create", "get", "patch", "delete"],
        ),
    ];
    needed
        .into_iter()
        .flat_map(|(namespace, group, resource, verbs)| {
            verbs.iter().map(move |verb| Permission {
                verb,
                group: group.to_owned(),
                resource: resource.to_owned(),
                namespace: namespace.map(str::to_owned),
            })
        })
        .collect()
}

/// Permissions as an administrator would grant them: the verbs for one resource together.
pub(crate) fn grouped(permissions: &[Permission]) -> String {
    let mut texts: Vec<String> = Vec::new();
    for together in permissions.chunk_by(|a, b| a.object() == b.object()) {
        let verbs: Vec<&str> = together.iter().map(|permission| permission.verb).collect();
        texts.push(format!("{} {}", verbs.join(","), together[0].object()));
    }
    texts.join("; ")
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
        None => (permission.resource.as_str(), None),
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                verb: Some(permission.verb.to_owned()),
                group: Some(permission.group.clone()),
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
        let needed = of_init("external-services", "default");
        assert_eq!(
            needed[0].to_string(),
            "create customresourcedefinitions.apiextensions.k8s.io in the whole cluster"
        );
        let all = grouped(&needed);
        for expect in [
            "create,get,patch customresourcedefinitions.apiextensions.k8s.io in the whole cluster; ",
            "; create serviceaccounts/token in namespace external-services; ",
            "; create,get,list,update,delete secrets in namespace default; ",
        ] {
            assert!(all.contains(expect), "{all}");
        }
    }
}
