//! Step 4: makes what is desired and removes what no longer is. It decides nothing.
//!
//! Server-side apply, and only where something differs: a reconcile that has nothing to change
//! sends no write.

mod drift;
pub mod gateways;
mod replicas;
pub mod write;

use std::collections::BTreeMap;

use extconn_api::{Forwarder, NamespacedName};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::rbac::v1::RoleBinding;

use crate::controller::Context;
use crate::reconcile::build::Desired;
use crate::reconcile::connection::SourceIp;
use crate::reconcile::error::Error;
use crate::reconcile::observe::{Children, Observed};
use crate::reconcile::ownership;
use crate::reconcile::tear_down::tear_down;
use crate::reconcile::validate::{NameHolder, Validated};
use gateways::Granted;
use write::put;

/// What is really there, as the API server has returned it: status derives from nothing else.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The forwarder's pods.
    pub deployment: Deployment,
    /// What replicas report.
    pub forwarder: Forwarder,
    /// What gateways report: one entry for each source IP.
    pub gateways: BTreeMap<SourceIp, Granted>,
}

/// Carries out `desired`, or takes everything down if there is nothing to carry out.
pub async fn apply(
    desired: Option<Desired>,
    observed: &Observed,
    validated: &Validated,
    context: &Context,
) -> Result<Option<Applied>, Error> {
    match desired {
        Some(desired) => put_all(desired, observed, &validated.key, context)
            .await
            .map(Some),
        None => {
            if anything_left(observed, validated) {
                let gateways = observed.gateway_names();
                tear_down(&validated.key, &validated.name_holder, &gateways, context).await?;
            }
            Ok(None)
        }
    }
}

async fn put_all(
    desired: Desired,
    observed: &Observed,
    key: &NamespacedName,
    context: &Context,
) -> Result<Applied, Error> {
    let Desired {
        service_account,
        role,
        role_binding,
        source_role_bindings,
        forwarder,
        gateway_grants,
        service,
        disruption_budget,
        deployment,
    } = desired;
    let children = &observed.children;

    // What is revoked goes first, and the pods come last: they need all the rest.
    let kept: Vec<_> = gateway_grants.keys().map(ToString::to_string).collect();
    let revoked = observed
        .gateways
        .iter()
        .filter(|(name, _)| !kept.contains(name));
    for (_, gateway) in revoked {
        gateways::revoke(&context.connector(), gateway, &key.name).await?;
    }
    let bindings: Vec<_> = std::iter::once(role_binding)
        .chain(source_role_bindings)
        .collect();
    for binding in &children.role_bindings {
        if !bindings
            .iter()
            .any(|desired| ownership::key(desired) == ownership::key(&**binding))
        {
            write::delete(
                &context.namespaced(&ownership::key(&**binding).namespace),
                &**binding,
            )
            .await?;
        }
    }

    put(
        &context.connector(),
        service_account,
        children.service_account.as_deref(),
    )
    .await?;
    put(&context.connector(), role, children.role.as_deref()).await?;
    for binding in bindings {
        put_binding(binding, children, context).await?;
    }
    let forwarder = put(
        &context.connector(),
        forwarder,
        children.forwarder.as_deref(),
    )
    .await?;
    let mut gateways = BTreeMap::new();
    for (source_ip, grant) in gateway_grants {
        let existing = observed.gateways.get(&source_ip.to_string()).map(|g| &**g);
        let granted = gateways::grant(&context.connector(), source_ip, grant, existing).await?;
        gateways.insert(source_ip, granted);
    }
    put(&context.connector(), service, children.service.as_deref()).await?;
    put(
        &context.connector(),
        disruption_budget,
        children.disruption_budget.as_deref(),
    )
    .await?;
    let deployment = put(
        &context.connector(),
        deployment,
        children.deployment.as_deref(),
    )
    .await?;
    replicas::drop_gone(&forwarder, &observed.pods, context).await?;
    Ok(Applied {
        deployment,
        forwarder,
        gateways,
    })
}

async fn put_binding(
    binding: RoleBinding,
    children: &Children,
    context: &Context,
) -> Result<(), Error> {
    let key = ownership::key(&binding);
    let existing = children
        .role_bindings
        .iter()
        .find(|b| ownership::key(&***b) == key);
    let api = context.namespaced(&key.namespace);
    put(&api, binding, existing.map(|b| &**b)).await?;
    Ok(())
}

/// Whether something made for the ExternalService can still be seen.
pub fn anything_left(observed: &Observed, validated: &Validated) -> bool {
    let Validated {
        key,
        name_holder,
        generation: _,
        verdict: _,
    } = validated;
    let Children {
        forwarder,
        deployment,
        disruption_budget,
        service,
        service_account,
        role,
        role_bindings,
    } = &observed.children;
    forwarder
        .as_deref()
        .is_some_and(|o| ownership::is_made_for(o, key))
        || deployment
            .as_deref()
            .is_some_and(|o| ownership::is_made_for(o, key))
        || disruption_budget
            .as_deref()
            .is_some_and(|o| ownership::is_made_for(o, key))
        || service
            .as_deref()
            .is_some_and(|o| ownership::is_made_for(o, key))
        || service_account
            .as_deref()
            .is_some_and(|o| ownership::is_made_for(o, key))
        || role
            .as_deref()
            .is_some_and(|o| ownership::is_made_for(o, key))
        || !role_bindings.is_empty()
        || (*name_holder == NameHolder::Itself
            && observed
                .gateways
                .values()
                .any(|gateway| gateways::has_grant(gateway, &key.name)))
}
