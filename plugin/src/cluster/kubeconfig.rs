//! Pure: kubectl's flags laid over a kubeconfig, as kubectl does it.

use kube::config::{Cluster, Context, Kubeconfig, NamedAuthInfo, NamedCluster, NamedContext};

use crate::cli::kubectl_flags::KubectlFlags;
use crate::failure::Failure;

/// Name of the cluster, user and context that flags alone describe.
const FROM_FLAGS: &str = "flags";

/// A kubeconfig whose current context is the one that the flags ask for.
///
/// # Errors
/// A context, cluster or user that the kubeconfig does not hold, with those that it does.
pub(crate) fn with_flags(
    mut config: Kubeconfig,
    flags: &KubectlFlags,
) -> Result<Kubeconfig, Failure> {
    let mut context = chosen_context(&config, flags)?;
    if let Some(cluster) = &flags.cluster {
        context.cluster.clone_from(cluster);
    }
    if let Some(user) = &flags.user {
        context.user = Some(user.clone());
    }
    let mut cluster = named_cluster(&config, &context.cluster, flags)?;
    override_cluster(&mut cluster, flags);
    let user_name = context
        .user
        .clone()
        .unwrap_or_else(|| FROM_FLAGS.to_owned());
    let mut user = match config.auth_infos.iter().find(|user| user.name == user_name) {
        Some(user) => user.clone(),
        None if flags.user.is_some() => {
            let known = config.auth_infos.iter().map(|user| user.name.as_str());
            return Err(unknown("user", &user_name, known));
        }
        None => NamedAuthInfo {
            name: user_name.clone(),
            ..NamedAuthInfo::default()
        },
    };
    override_user(&mut user, flags);

    context.user = Some(user_name.clone());
    config
        .clusters
        .retain(|other| other.name != context.cluster);
    config.clusters.push(NamedCluster {
        name: context.cluster.clone(),
        cluster: Some(cluster),
        ..NamedCluster::default()
    });
    config.auth_infos.retain(|other| other.name != user_name);
    config.auth_infos.push(user);
    config.contexts = vec![NamedContext {
        name: FROM_FLAGS.to_owned(),
        context: Some(context),
        ..NamedContext::default()
    }];
    config.current_context = Some(FROM_FLAGS.to_owned());
    Ok(config)
}

fn chosen_context(config: &Kubeconfig, flags: &KubectlFlags) -> Result<Context, Failure> {
    let known = || config.contexts.iter().map(|context| context.name.as_str());
    let name = flags
        .context
        .as_ref()
        .or(config.current_context.as_ref())
        .filter(|name| !name.is_empty());
    let Some(name) = name else {
        if flags.server.is_some() || flags.cluster.is_some() {
            return Ok(Context {
                cluster: FROM_FLAGS.to_owned(),
                ..Context::default()
            });
        }
        return Err(
            Failure::could_not_run("the kubeconfig has no current context")
                .next(format!("choose one with --context: {}", listed(known()))),
        );
    };
    let found = config.contexts.iter().find(|context| context.name == *name);
    found
        .and_then(|context| context.context.clone())
        .ok_or_else(|| unknown("context", name, known()))
}

fn named_cluster(
    config: &Kubeconfig,
    name: &str,
    flags: &KubectlFlags,
) -> Result<Cluster, Failure> {
    match config.clusters.iter().find(|cluster| cluster.name == name) {
        Some(cluster) => Ok(cluster.cluster.clone().unwrap_or_default()),
        None if flags.server.is_some() => Ok(Cluster::default()),
        None => Err(unknown(
            "cluster",
            name,
            config.clusters.iter().map(|cluster| cluster.name.as_str()),
        )),
    }
}

fn override_cluster(cluster: &mut Cluster, flags: &KubectlFlags) {
    if let Some(server) = &flags.server {
        cluster.server = Some(server.clone());
    }
    if let Some(path) = &flags.certificate_authority {
        cluster.certificate_authority = Some(path.display().to_string());
        cluster.certificate_authority_data = None;
    }
    if let Some(name) = &flags.tls_server_name {
        cluster.tls_server_name = Some(name.clone());
    }
    if flags.insecure_skip_tls_verify {
        cluster.insecure_skip_tls_verify = Some(true);
    }
    if flags.disable_compression {
        cluster.disable_compression = Some(true);
    }
}

fn override_user(user: &mut NamedAuthInfo, flags: &KubectlFlags) {
    let user = user.auth_info.get_or_insert_default();
    if let Some(token) = &flags.token {
        user.token = Some(token.clone().into());
        user.token_file = None;
    }
    if let Some(path) = &flags.client_certificate {
        user.client_certificate = Some(path.display().to_string());
        user.client_certificate_data = None;
    }
    if let Some(path) = &flags.client_key {
        user.client_key = Some(path.display().to_string());
        user.client_key_data = None;
    }
    if let Some(name) = &flags.impersonate {
        user.impersonate = Some(name.clone());
    }
    if !flags.impersonate_groups.is_empty() {
        user.impersonate_groups = Some(flags.impersonate_groups.clone());
    }
    if let Some(uid) = &flags.impersonate_uid {
        user.impersonate_uid = Some(uid.clone());
    }
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Failure {
    Failure::could_not_run(format!("the kubeconfig has no {what} {name:?}"))
        .next(format!("it has: {}", listed(known)))
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_contexts() -> Kubeconfig {
        Kubeconfig::from_yaml(
            "
            current-context: a
            contexts:
            - {name: a, context: {cluster: ca, user: ua, namespace: na}}
            - {name: b, context: {cluster: cb, user: ub}}
            clusters:
            - {name: ca, cluster: {server: 'https://192.0.2.1:6443', certificate-authority-data: QQ==}}
            - {name: cb, cluster: {server: 'https://192.0.2.2:6443'}}
            users:
            - {name: ua, user: {token: secret}}
            - {name: ub, user: {client-certificate: crt, client-key: key}}",
        )
        .unwrap()
    }

    fn resolved(flags: &KubectlFlags) -> (Context, Cluster, kube::config::AuthInfo) {
        let config = with_flags(two_contexts(), flags).unwrap();
        let name = config.current_context.unwrap();
        let context = config
            .contexts
            .into_iter()
            .find(|c| c.name == name)
            .unwrap()
            .context
            .unwrap();
        let cluster = config
            .clusters
            .into_iter()
            .find(|c| c.name == context.cluster)
            .unwrap();
        let user = config
            .auth_infos
            .into_iter()
            .find(|u| Some(&u.name) == context.user.as_ref())
            .unwrap();
        (context, cluster.cluster.unwrap(), user.auth_info.unwrap())
    }

    #[test]
    fn without_flags_the_current_context_stands() {
        let (context, cluster, user) = resolved(&KubectlFlags::default());
        assert_eq!(context.namespace.as_deref(), Some("na"));
        assert_eq!(cluster.server.as_deref(), Some("https://192.0.2.1:6443"));
        assert!(user.token.is_some());
    }

    #[test]
    fn flags_win_over_the_kubeconfig() {
        let flags = KubectlFlags {
            context: Some("b".into()),
            user: Some("ua".into()),
            server: Some("https://192.0.2.9".into()),
            impersonate: Some("eve".into()),
            impersonate_groups: vec!["g1".into(), "g2".into()],
            ..KubectlFlags::default()
        };
        let (context, cluster, user) = resolved(&flags);
        assert_eq!(context.cluster, "cb");
        assert_eq!(cluster.server.as_deref(), Some("https://192.0.2.9"));
        assert_eq!(user.impersonate.as_deref(), Some("eve"));
        assert_eq!(user.impersonate_groups.unwrap(), ["g1", "g2"]);
    }

    #[test]
    fn a_file_replaces_what_the_kubeconfig_holds_inline() {
        let flags = KubectlFlags {
            certificate_authority: Some("/ca".into()),
            ..KubectlFlags::default()
        };
        let (_, cluster, _) = resolved(&flags);
        assert_eq!(cluster.certificate_authority.as_deref(), Some("/ca"));
        assert_eq!(cluster.certificate_authority_data, None);
    }

    #[test]
    fn server_and_token_alone_are_enough() {
        let flags = KubectlFlags {
            server: Some("https://192.0.2.1".into()),
            token: Some("t".into()),
            ..KubectlFlags::default()
        };
        let config = with_flags(Kubeconfig::default(), &flags).unwrap();
        assert_eq!(
            config.clusters[0].cluster.as_ref().unwrap().server,
            flags.server
        );
    }

    #[test]
    fn what_the_kubeconfig_does_not_hold_is_named_with_what_it_does() {
        for (flags, name, known) in [
            (
                KubectlFlags {
                    context: Some("c".into()),
                    ..KubectlFlags::default()
                },
                "\"c\"",
                "a, b",
            ),
            (
                KubectlFlags {
                    cluster: Some("c".into()),
                    ..KubectlFlags::default()
                },
                "\"c\"",
                "ca, cb",
            ),
            (
                KubectlFlags {
                    user: Some("c".into()),
                    ..KubectlFlags::default()
                },
                "\"c\"",
                "ua, ub",
            ),
        ] {
            let failure = with_flags(two_contexts(), &flags).unwrap_err();
            assert!(failure.message().contains(name), "{failure:?}");
            assert!(failure.next_step().unwrap().contains(known), "{failure:?}");
            assert_eq!(failure.status(), 3);
        }
    }
}
