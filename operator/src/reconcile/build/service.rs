//! Pure: the Service that pods dial.

use extconn_api::NamespacedName;
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{metadata, pod_selector};
use crate::reconcile::connection::{Connection, EgressPort};
use crate::settings::Settings;

/// `<name>` in the connector namespace, with one port for each port that pods dial.
pub fn service(key: &NamespacedName, connection: &Connection, settings: &Settings) -> Service {
    Service {
        metadata: metadata(key, key.name.clone(), settings),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".into()),
            selector: Some(pod_selector(key)),
            ports: Some(connection.egress.iter().map(port).collect()),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

fn port(egress: &EgressPort) -> ServicePort {
    let listen = egress.listen.get();
    ServicePort {
        name: Some(format!("tcp-{listen}")),
        protocol: Some("TCP".into()),
        port: listen.into(),
        target_port: Some(IntOrString::Int(listen.into())),
        ..ServicePort::default()
    }
}
