//! The objects that were last carried out, on disk: a gateway that starts while the API is away
//! serves them. They are objects, not a configuration, so that the host file has the last word
//! over them too.

use std::path::PathBuf;

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

    /// Keeps what matters of `objects`, unless it is what the file says already.
    pub fn keep(&mut self, objects: &Objects) {
        let objects = essence(objects);
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
fn essence(objects: &Objects) -> Objects {
    let gateways = objects.gateways.iter().map(|gateway| {
        let mut kept = Gateway::new("", gateway.spec.clone());
        kept.metadata.name.clone_from(&gateway.metadata.name);
        kept.metadata.generation = gateway.metadata.generation;
        kept
    });
    let forwarders = objects.forwarders.iter().map(|forwarder| {
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
    let mut essence = Objects {
        gateways: gateways.collect(),
        forwarders: forwarders.collect(),
    };
    // A view is in no order.
    essence
        .gateways
        .sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    essence
        .forwarders
        .sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    essence
}
