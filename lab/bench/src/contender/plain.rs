//! Two plain proxies in a row.

use std::net::SocketAddrV4;

use anyhow::Result;

use super::{Contender, Program, Running, ingress_address, own_command, port};
use crate::network::Network;
use crate::network::plan::{FORWARDER, GATEWAY, Host, SERVICE, TARGET};

/// Between the two hops.
const EGRESS_HOP: SocketAddrV4 = SocketAddrV4::new(GATEWAY, 7001);
const INGRESS_HOP: SocketAddrV4 = SocketAddrV4::new(FORWARDER, 7001);

pub(super) fn start(network: &Network) -> Result<Running> {
    let egress = SocketAddrV4::new(FORWARDER, port(Contender::Plain));
    let ingress = ingress_address(Contender::Plain);
    let proxy = |host, legs: [(SocketAddrV4, SocketAddrV4); 2]| {
        let mut command = own_command(network, host, "proxy")?;
        for (listen, dial) in legs {
            command.arg("--leg").arg(format!("{listen}={dial}"));
        }
        Ok::<_, anyhow::Error>(Program::start(&mut command, "")?.0)
    };
    let gateway = proxy(
        Host::Gateway,
        [(EGRESS_HOP, TARGET), (ingress, INGRESS_HOP)],
    )?;
    let forwarder = proxy(
        Host::Forwarder,
        [(egress, EGRESS_HOP), (INGRESS_HOP, SERVICE)],
    )?;
    Ok(Running {
        contender: Contender::Plain,
        egress,
        ingress,
        programs: vec![(Host::Forwarder, forwarder), (Host::Gateway, gateway)],
        _folder: None,
    })
}
