//! extconn's own data plane: a forwarder and a gateway, each a process of its own, configured as
//! the agents configure them.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use anyhow::Result;
use extconn_dataplane::identity::PrivateKey;

use super::tunnel_end::{ForwarderEnd, GatewayEnd};
use super::{Contender, Program, REKEY_OFTEN, Rekey, Running, own_command, port};
use crate::network::Network;
use crate::network::plan::{FORWARDER, GATEWAY, Host, PODS, SERVICE, SOURCE_IP, TARGET};

/// Port of the first gateway's ssh server.
const SSH_PORT: u16 = 2022;

/// What the external server dials.
const INGRESS: SocketAddrV4 = SocketAddrV4::new(SOURCE_IP, 80);

/// How many pairs of forwarder and gateway share the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replicas {
    /// As it is used.
    One,
    /// Where a process may not have enough open files. Replica `n` is reached at the `n`th
    /// [`Running::egress`] port; none takes connections of the external server.
    Many(u16),
}

/// Starts gateways and forwarders and waits until their tunnels are up.
///
/// # Errors
/// One of them did not start; the message says why.
pub fn start(network: &Network, replicas: Replicas, rekey: Rekey) -> Result<Running> {
    let egress = SocketAddrV4::new(FORWARDER, port(Contender::Ours));
    let mut programs = Vec::new();
    let (count, ingress): (_, BTreeMap<_, _>) = match replicas {
        Replicas::One => (1, [(INGRESS, SERVICE)].into()),
        Replicas::Many(count) => (count, [].into()),
    };
    let rekey_after = (rekey == Rekey::Often).then_some(REKEY_OFTEN);
    for number in 0..count {
        let (key, host_key) = (PrivateKey::generate(), PrivateKey::generate());
        let gateway = GatewayEnd {
            host_key: key_text(&host_key)?,
            listen: SocketAddrV4::new(GATEWAY, SSH_PORT + number),
            forwarder_key: key.public_key().to_string(),
            source_ip: SOURCE_IP,
            rekey_after,
            egress: TARGET,
            ingress: Vec::from_iter(ingress.keys().copied()),
        };
        let forwarder = ForwarderEnd {
            key: key_text(&key)?,
            listen: FORWARDER,
            gateway: gateway.listen,
            gateway_key: host_key.public_key().to_string(),
            source_ip: SOURCE_IP,
            rekey_after,
            egress: (egress.port() + number, TARGET),
            ingress: ingress.clone(),
            pods: PODS.to_vec(),
        };
        for (host, name, config) in [
            (Host::Gateway, "gateway", serde_json::to_string(&gateway)?),
            (
                Host::Forwarder,
                "forwarder",
                serde_json::to_string(&forwarder)?,
            ),
        ] {
            let mut command = own_command(network, host, name)?;
            programs.push((host, Program::start(&mut command, &config)?.0));
        }
    }
    Ok(Running {
        contender: Contender::Ours,
        egress,
        ingress: INGRESS,
        programs,
        _folder: None,
    })
}

fn key_text(key: &PrivateKey) -> Result<String> {
    Ok(key.to_openssh()?.to_string())
}
