//! The objects that were last carried out, on disk: a gateway that starts while the API is away
//! serves them. They are objects, not a configuration, so that the host file has the last word
//! over them too.

use std::path::PathBuf;
use std::sync::Arc;

use extconn_api::forwarder::ReplicaStatus;
use extconn_api::{Forwarder, ForwarderStatus, Gateway};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::state_files;

/// The objects of the connector namespace that say what a gateway has to do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Objects {
    /// All Gateways.
    pub gateways: Vec<Gateway>,
    /// All Forwarders.
    pub forwarders: Vec<Forwarder>,
}

/// The file.
pub struct LastGood {
    path: PathBuf,
    written: Option<Objects>,
}

impl LastGood {
    /// Reads the file. One that cannot be read is as good as none, with a warning.
    pub fn read(path: PathBuf) -> (Self, Option<Objects>) {
        let objects = state_files::read_json::<Objects>(&path).unwrap_or_else(|error| {
            warn!(%error, "starting without the last good configuration");
            None
        });
        if let Some(objects) = &objects {
            let (gateways, forwarders) = (objects.gateways.len(), objects.forwarders.len());
            info!(gateways, forwarders, "read the last good configuration");
        }
        let written = objects.clone();
        (Self { path, written }, objects)
    }

    /// Keeps what matters of the objects, unless it is what the file says already.
    pub fn keep(&mut self, gateways: &[Arc<Gateway>], forwarders: &[Arc<Forwarder>]) {
        let objects = essence(gateways, forwarders);
        if self.written.as_ref() == Some(&objects) {
            return;
        }
        match state_files::write_json(&self.path, &objects) {
            Ok(()) => self.written = Some(objects),
            Err(error) => {
                warn!(%error, "a restart while the API is away would serve an older configuration")
            }
        }
    }
}

/// Without what changes by itself, such as the state of tunnels: each change is a write.
fn essence(gateways: &[Arc<Gateway>], forwarders: &[Arc<Forwarder>]) -> Objects {
    let gateways = gateways.iter().map(|gateway| {
        let mut kept = Gateway::new("", gateway.spec.clone());
        kept.metadata.name.clone_from(&gateway.metadata.name);
        kept.metadata.generation = gateway.metadata.generation;
        kept
    });
    let forwarders = forwarders.iter().map(|forwarder| {
        let mut kept = Forwarder::new("", forwarder.spec.clone());
        kept.metadata.name.clone_from(&forwarder.metadata.name);
        let replicas = forwarder.status.iter().flat_map(|s| &s.replicas);
        let replicas = replicas.map(|replica| ReplicaStatus {
            pod_name: replica.pod_name.clone(),
            public_key: replica.public_key.clone(),
            ..ReplicaStatus::default()
        });
        kept.status = Some(ForwarderStatus {
            replicas: replicas.collect(),
        });
        kept
    });
    Objects {
        gateways: gateways.collect(),
        forwarders: forwarders.collect(),
    }
}

#[cfg(test)]
mod tests {
    use extconn_api::forwarder::{TunnelState, TunnelStatus};
    use extconn_api::{ForwarderSpec, GatewaySpec, NamespacedName};

    use super::*;

    fn gateway(generation: i64) -> Arc<Gateway> {
        let spec = GatewaySpec {
            source_ip: "192.0.2.10".into(),
            forwarders: vec![],
        };
        let mut gateway = Gateway::new("192.0.2.10", spec);
        gateway.metadata.generation = Some(generation);
        gateway.metadata.resource_version = Some("7".into());
        Arc::new(gateway)
    }

    fn forwarder(state: TunnelState) -> Arc<Forwarder> {
        let spec = ForwarderSpec {
            external_service: NamespacedName {
                namespace: "shop".into(),
                name: "bank".into(),
            },
            sources: vec![],
            egress: vec![],
            ingress: vec![],
            gateways: vec![],
        };
        let mut forwarder = Forwarder::new("bank", spec);
        let tunnel = TunnelStatus {
            source_ip: "192.0.2.10".into(),
            state,
            message: None,
        };
        let replica = ReplicaStatus {
            pod_name: "bank-1".into(),
            public_key: "ssh-ed25519 AAAA".into(),
            tunnels: vec![tunnel],
            ..ReplicaStatus::default()
        };
        forwarder.status = Some(ForwarderStatus {
            replicas: vec![replica],
        });
        Arc::new(forwarder)
    }

    #[test]
    fn what_is_kept_is_read_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("last-good.json");
        let (mut file, nothing) = LastGood::read(path.clone());
        assert!(nothing.is_none());
        file.keep(&[gateway(4)], &[forwarder(TunnelState::Up)]);
        let (_, objects) = LastGood::read(path);
        let objects = objects.unwrap();
        assert_eq!(objects.gateways[0].metadata.generation, Some(4));
        let status = objects.forwarders[0].status.as_ref().unwrap();
        assert_eq!(status.replicas[0].public_key, "ssh-ed25519 AAAA");
    }

    #[test]
    fn a_tunnel_that_comes_or_goes_is_no_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("last-good.json");
        let (mut file, _) = LastGood::read(path.clone());
        file.keep(&[gateway(4)], &[forwarder(TunnelState::Up)]);
        std::fs::remove_file(&path).unwrap();
        file.keep(&[gateway(4)], &[forwarder(TunnelState::Down)]);
        assert!(!path.exists());
        file.keep(&[gateway(5)], &[forwarder(TunnelState::Down)]);
        assert!(path.exists());
    }

    #[test]
    fn a_broken_file_is_as_good_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("last-good.json");
        std::fs::write(&path, "{").unwrap();
        assert!(LastGood::read(path).1.is_none());
    }
}
