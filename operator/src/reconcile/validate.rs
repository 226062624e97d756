//! Pure: step 2, from the raw objects to what is to be set up, or to what is wrong.

mod claims;
mod permitted;
mod sources;
#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;

use extconn_api::condition::ExternalServiceReason as Reason;
use extconn_api::permission::Trust;
use extconn_api::{ExternalService, NamespacedName};

use crate::reconcile::connection::{
    Connection, EgressPort, PortNumber, Problem, TargetIp, Verdict,
};
use crate::reconcile::observe::Observed;
use crate::reconcile::ownership;

pub use claims::{NameHolder, is_older};

/// The outcome of validation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validated {
    /// Namespace and name of the ExternalService.
    pub key: NamespacedName,
    /// `metadata.generation` that was validated.
    pub generation: Option<i64>,
    /// Who holds the name, and with it the entries of that name in Gateways.
    pub name_holder: NameHolder,
    /// Whether, and what, to set up.
    pub verdict: Verdict,
}

/// Judges what was observed.
pub fn validate(observed: &Observed, trust: &Trust) -> Validated {
    let external_service = &*observed.external_service;
    let name_holder = claims::name_holder(observed);
    let verdict = match accepted(observed, &name_holder, trust) {
        Ok(connection) => Verdict::Accepted(connection),
        Err(problem) => Verdict::Refused(problem),
    };
    Validated {
        key: ownership::key(external_service),
        generation: external_service.metadata.generation,
        name_holder,
        verdict,
    }
}

fn accepted(
    observed: &Observed,
    name_holder: &NameHolder,
    trust: &Trust,
) -> Result<Connection, Problem> {
    let external_service = &*observed.external_service;
    claims::check_name(observed, name_holder)?;
    let target = TargetIp(address("spec.targetIP", &external_service.spec.target_ip)?);
    let egress = egress(external_service)?;
    let listed = sources::listed(external_service)?;
    let (permitted, mut source_problems) =
        permitted::permitted(external_service, listed, observed, trust);
    claims::check_egress(observed, target, &permitted, &egress, trust)?;
    let (sources, unresolved) = sources::resolved(permitted, &observed.services);
    source_problems.extend(unresolved);
    let ingress = if external_service.spec.bidirectional {
        sources::ingress(observed, target, &sources, &mut source_problems, trust)
    } else {
        vec![]
    };
    Ok(Connection {
        target,
        sources,
        egress,
        ingress,
        at_target: observed.at_target.clone(),
        source_problems,
    })
}

fn egress(external_service: &ExternalService) -> Result<Vec<EgressPort>, Problem> {
    let ports = external_service.spec.ports.iter().enumerate();
    ports
        .map(|(i, port)| {
            Ok(EgressPort {
                protocol: port.protocol,
                listen: port_number(
                    &format!("spec.ports[{i}].targetPort"),
                    port.target_port.unwrap_or(port.port),
                )?,
                destination: port_number(&format!("spec.ports[{i}].port"), port.port)?,
            })
        })
        .collect()
}

/// Reads an address that the schema has checked: objects from before a stricter schema stay.
fn address(field: &str, value: &str) -> Result<Ipv4Addr, Problem> {
    value.parse().map_err(|_| {
        Problem::new(
            Reason::InvalidSpec,
            format!(
                "{field} {value:?} is not an IPv4 address: write it as four numbers, for example \
                 192.0.2.10"
            ),
        )
    })
}

fn port_number(field: &str, value: u16) -> Result<PortNumber, Problem> {
    PortNumber::new(value).ok_or_else(|| {
        Problem::new(
            Reason::InvalidSpec,
            format!("{field} {value} is not a port: choose 1 to 65535"),
        )
    })
}
