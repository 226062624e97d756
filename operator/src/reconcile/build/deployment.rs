//! Pure: the forwarder's pods. They meet the Pod Security standard "restricted".

use std::collections::BTreeMap;

use extconn_api::names::forwarder_env;
use extconn_api::{NamespacedName, names};
use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment,
};
use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction,
    LocalObjectReference, ObjectFieldSelector, PodSecurityContext, PodSpec, PodTemplateSpec, Probe,
    ResourceRequirements, SeccompProfile, SecurityContext, Sysctl, TopologySpreadConstraint,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::ObjectMeta;

use super::{labels, metadata, pod_selector};
use crate::reconcile::connection::Connection;
use crate::settings::{PodOptions, Settings};

/// User and group of the container, that of nobody on the node.
const USER: i64 = 65532;

/// Seconds that a replica has to stop: 5 until its endpoint is gone everywhere, 30 to drain its
/// flows, and 5 in reserve.
const GRACE_SECONDS: i64 = 40;

/// Seconds that a replica must be ready before it counts as available: kube-proxy on every node
/// then knows its endpoint, so that nobody is refused who connects when told that all is ready,
/// nor during a rolling update.
const SETTLE_SECONDS: i32 = 2;

/// Port of `/healthz` and `/readyz`, unless pods dial it.
const HTTP_PORT: u16 = 9402;

/// The Deployment `forwarder-<name>`.
pub fn deployment(
    key: &NamespacedName,
    connection: &Connection,
    settings: &Settings,
) -> Deployment {
    let selector = LabelSelector {
        match_labels: Some(pod_selector(key)),
        ..LabelSelector::default()
    };
    Deployment {
        metadata: metadata(key, names::forwarder_workload(&key.name), settings),
        spec: Some(DeploymentSpec {
            replicas: Some(settings.forwarder_replicas.into()),
            selector: selector.clone(),
            min_ready_seconds: Some(SETTLE_SECONDS),
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".into()),
                // The old process serves until its successor is ready.
                rolling_update: Some(RollingUpdateDeployment {
                    max_unavailable: Some(IntOrString::Int(0)),
                    max_surge: Some(IntOrString::Int(1)),
                }),
            }),
            template: PodTemplateSpec {
                metadata: Some(pod_metadata(key, &settings.forwarder_pod)),
                spec: Some(pod(key, http_port(connection), selector, settings)),
            },
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}

fn pod_metadata(key: &NamespacedName, options: &PodOptions) -> ObjectMeta {
    let mut all = options.labels.clone();
    // Deployment and Service know the pods by these.
    all.extend(labels(key));
    ObjectMeta {
        labels: Some(all),
        annotations: given(&options.annotations),
        ..ObjectMeta::default()
    }
}

/// A map, unless it is empty: server-side apply tells the two apart.
fn given(map: &BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    (!map.is_empty()).then(|| map.clone())
}

/// How the pods are spread: one on each node as far as possible, unless the administrator wants
/// it otherwise.
fn spread(selector: LabelSelector, options: &PodOptions) -> Vec<TopologySpreadConstraint> {
    if options.topology_spread_constraints.is_empty() {
        return vec![TopologySpreadConstraint {
            max_skew: 1,
            topology_key: "kubernetes.io/hostname".into(),
            when_unsatisfiable: "ScheduleAnyway".into(),
            label_selector: Some(selector),
            ..TopologySpreadConstraint::default()
        }];
    }
    let constraints = options.topology_spread_constraints.iter();
    constraints
        .map(|constraint| TopologySpreadConstraint {
            label_selector: constraint
                .label_selector
                .clone()
                .or_else(|| Some(selector.clone())),
            ..constraint.clone()
        })
        .collect()
}

/// The first port from [`HTTP_PORT`] on that no pod dials.
fn http_port(connection: &Connection) -> u16 {
    (HTTP_PORT..)
        .find(|port| {
            connection
                .egress
                .iter()
                .all(|egress| egress.listen.get() != *port)
        })
        .expect("an ExternalService has at most 32 ports")
}

fn pod(
    key: &NamespacedName,
    http_port: u16,
    selector: LabelSelector,
    settings: &Settings,
) -> PodSpec {
    let options = &settings.forwarder_pod;
    let pull_secrets = settings.image_pull_secrets.iter();
    PodSpec {
        service_account_name: Some(names::forwarder_workload(&key.name)),
        automount_service_account_token: Some(true),
        // Else every Service of the namespace adds variables to the container.
        enable_service_links: Some(false),
        image_pull_secrets: (!settings.image_pull_secrets.is_empty()).then(|| {
            pull_secrets
                .map(|name| LocalObjectReference { name: name.clone() })
                .collect()
        }),
        termination_grace_period_seconds: Some(GRACE_SECONDS),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(USER),
            run_as_group: Some(USER),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".into(),
                ..SeccompProfile::default()
            }),
            // Ports below 1024 without a capability; one of the safe sysctls of Kubernetes.
            sysctls: Some(vec![Sysctl {
                name: "net.ipv4.ip_unprivileged_port_start".into(),
                value: "0".into(),
            }]),
            ..PodSecurityContext::default()
        }),
        topology_spread_constraints: Some(spread(selector, options)),
        node_selector: given(&options.node_selector),
        tolerations: (!options.tolerations.is_empty()).then(|| options.tolerations.clone()),
        affinity: options.affinity.clone(),
        priority_class_name: options.priority_class_name.clone(),
        containers: vec![container(key, http_port, settings)],
        ..PodSpec::default()
    }
}

fn container(key: &NamespacedName, http_port: u16, settings: &Settings) -> Container {
    Container {
        name: "forwarder".into(),
        image: Some(settings.forwarder_image.clone()),
        image_pull_policy: Some(settings.image_pull_policy.clone()),
        env: Some(vec![
            variable(forwarder_env::FORWARDER_NAME, &key.name),
            from_field(forwarder_env::POD_NAME, "metadata.name"),
            from_field(forwarder_env::POD_NAMESPACE, "metadata.namespace"),
            variable(forwarder_env::HTTP_PORT, &http_port.to_string()),
            variable("RUST_LOG", &settings.forwarder_log),
            variable("LOG_FORMAT", &settings.forwarder_log_format),
        ]),
        ports: Some(vec![ContainerPort {
            name: Some("http".into()),
            container_port: http_port.into(),
            protocol: Some("TCP".into()),
            ..ContainerPort::default()
        }]),
        startup_probe: Some(probe("/healthz", 1, 60)),
        liveness_probe: Some(probe("/healthz", 10, 3)),
        readiness_probe: Some(probe("/readyz", 1, 3)),
        resources: Some(
            settings
                .forwarder_pod
                .resources
                .clone()
                .unwrap_or_else(resources),
        ),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".into()]),
                ..Capabilities::default()
            }),
            ..SecurityContext::default()
        }),
        ..Container::default()
    }
}

/// What a forwarder asks for unless the administrator says otherwise.
fn resources() -> ResourceRequirements {
    ResourceRequirements {
        requests: Some(BTreeMap::from([
            ("cpu".into(), Quantity("100m".into())),
            ("memory".into(), Quantity("32Mi".into())),
        ])),
        ..ResourceRequirements::default()
    }
}

fn variable(name: &str, value: &str) -> EnvVar {
    EnvVar {
        name: name.into(),
        value: Some(value.into()),
        ..EnvVar::default()
    }
}

fn from_field(name: &str, field_path: &str) -> EnvVar {
    EnvVar {
        name: name.into(),
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                field_path: field_path.into(),
                ..ObjectFieldSelector::default()
            }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    }
}

fn probe(path: &str, period_seconds: i32, failure_threshold: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.into()),
            port: IntOrString::String("http".into()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period_seconds),
        failure_threshold: Some(failure_threshold),
        ..Probe::default()
    }
}
