//! Pure: what there is to remove, in which order, and what stays.

use extconn_api::{ExternalService, names};
use kube::ResourceExt;

use super::hook::Lost;
use super::which_host;
use crate::cluster::gateway_hosts::GatewayHost;
use crate::failure::Failure;
use crate::helm::Hook;

/// What the user wants gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// One gateway host, as the user names it.
    OneHost(String),
    /// What the cluster knows of one gateway host, as the user names it; not what is on the host.
    Note(String),
    /// extconn.
    Everything {
        /// Also from the gateway hosts.
        hosts: bool,
        /// Also the CRDs, with every ExternalService.
        crds: bool,
    },
}

/// How many ExternalServices are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// In the connector namespace.
    pub inside: usize,
    /// In other namespaces.
    pub outside: usize,
    /// Those that carry the operator's finalizer, wherever they are.
    pub held: usize,
}

impl Counts {
    /// Counts them.
    pub(crate) fn of(external_services: &[ExternalService], connector_namespace: &str) -> Self {
        let is_inside =
            |es: &&ExternalService| es.namespace().as_deref() == Some(connector_namespace);
        let is_held = |es: &&ExternalService| es.finalizers().iter().any(|f| f == names::FINALIZER);
        let inside = external_services.iter().filter(is_inside).count();
        Self {
            inside,
            outside: external_services.len() - inside,
            held: external_services.iter().filter(is_held).count(),
        }
    }
}

/// What is there.
#[derive(Clone, Debug)]
pub(crate) struct Situation<'a> {
    /// Gateway hosts that `init` wrote down.
    pub known: &'a [GatewayHost],
    /// The helm release, if there is one: how it goes, and what goes with it.
    pub release: Option<(Hook, Option<Lost>)>,
    /// CRDs of ours that are there.
    pub crds: &'a [String],
    /// ExternalServices that are there.
    pub counts: Counts,
    /// ExternalServices that wait for an operator whose namespace is going or gone.
    pub orphans: usize,
    /// What the user wants gone.
    pub scope: &'a Scope,
}

/// Something to remove. The order of a plan is the order of doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Planned {
    /// A gateway, and what the cluster knows of its host.
    Gateway {
        /// Where to log in.
        ssh: String,
        /// What `init` wrote down; `None` if the host was set up by other means.
        note: Option<GatewayHost>,
    },
    /// Only what the cluster knows of a host.
    Note(GatewayHost),
    /// What so many ExternalServices wait for, which nobody is left to do.
    Orphans(usize),
    /// The helm release: operator, forwarders, and the namespace if the chart made it.
    Release(Hook, Option<Lost>),
    /// The CRDs of these names, with so many ExternalServices.
    Crds(Vec<String>, usize),
}

/// What there is to remove. Hosts come first: the notes on them go with the release, and an
/// interrupted run must find them again.
///
/// # Errors
/// The user names a host that may be several, or wants a note forgotten that is not there.
pub(crate) fn plan(situation: &Situation<'_>) -> Result<Vec<Planned>, Failure> {
    let known = situation.known;
    match situation.scope {
        Scope::OneHost(named) => {
            let note = which_host::noted(named, known)?;
            Ok(vec![Planned::Gateway {
                ssh: which_host::login(named, note),
                note: note.cloned(),
            }])
        }
        Scope::Note(named) => match which_host::noted(named, known)? {
            Some(host) => Ok(vec![Planned::Note(host.clone())]),
            None => Err(which_host::unknown(named, known)),
        },
        Scope::Everything { hosts, crds } => {
            let mut steps = Vec::new();
            if *hosts {
                steps.extend(known.iter().map(|host| Planned::Gateway {
                    ssh: host.ssh.clone(),
                    note: Some(host.clone()),
                }));
            }
            if situation.orphans > 0 {
                steps.push(Planned::Orphans(situation.orphans));
            }
            if let Some((hook, lost)) = &situation.release {
                steps.push(Planned::Release(*hook, lost.clone()));
            }
            if *crds && !situation.crds.is_empty() {
                steps.push(Planned::Crds(situation.crds.to_vec(), staying(situation)));
            }
            Ok(steps)
        }
    }
}

/// ExternalServices that outlive the release.
fn staying(situation: &Situation<'_>) -> usize {
    let Counts {
        inside, outside, ..
    } = situation.counts;
    match &situation.release {
        Some((_, Some(_))) => outside,
        _ => inside + outside,
    }
}

/// The step as the user reads it.
pub(crate) fn described(step: &Planned) -> String {
    match step {
        Planned::Orphans(1) => {
            "release 1 ExternalService, whose operator has gone with its namespace".to_owned()
        }
        Planned::Orphans(n) => {
            format!("release {n} ExternalServices, whose operator has gone with its namespace")
        }
        Planned::Gateway { ssh, .. } => format!(
            "remove the gateway from {ssh}: service, nat rules, assigned source IPs, files, user"
        ),
        Planned::Note(host) => format!(
            "forget gateway host {} ({}), and leave it as it is",
            host.name, host.ssh
        ),
        Planned::Release(_, lost) => {
            let also = match lost {
                None => String::new(),
                Some(Lost {
                    namespace,
                    external_services: 0,
                }) => {
                    format!(", and namespace {namespace}")
                }
                Some(Lost {
                    namespace,
                    external_services,
                }) => format!(
                    ", and namespace {namespace} with {} in it",
                    several(*external_services)
                ),
            };
            format!("remove operator and forwarders from the cluster with helm{also}")
        }
        Planned::Crds(names, external_services) => {
            let with = match external_services {
                0 => String::new(),
                n => format!(", and with them {}", several(*n)),
            };
            format!("delete {} CustomResourceDefinitions{with}", names.len())
        }
    }
}

/// What is said when there is nothing to do.
pub(crate) fn nothing_to_do(situation: &Situation<'_>) -> String {
    if situation.crds.is_empty() {
        return "Nothing of extconn is there: there is nothing to remove.".to_owned();
    }
    let with = match staying(situation) {
        0 => String::new(),
        n => format!(" (with {})", several(n)),
    };
    format!("Only the CustomResourceDefinitions are left{with}; --delete-crds removes them.")
}

/// What is said when all is done.
pub(crate) fn farewell(situation: &Situation<'_>) -> String {
    let text = what_stays(situation);
    match situation.scope {
        // The notes may have gone with a namespace that somebody deleted.
        Scope::Everything { hosts: true, .. } if situation.known.is_empty() => format!(
            "{text} No gateway host was written down; if there is one, `kubectl extconn uninstall --gateway USER@HOST` removes its gateway."
        ),
        _ => text,
    }
}

fn what_stays(situation: &Situation<'_>) -> String {
    let stay = matches!(situation.scope, Scope::Everything { crds: false, .. });
    if !stay || situation.crds.is_empty() {
        return "Done.".to_owned();
    }
    let place = match &situation.release {
        Some((_, Some(_))) => " of other namespaces",
        _ => "",
    };
    let also = match staying(situation) {
        0 => String::new(),
        n => format!(", and {}{place}", several(n)),
    };
    format!("Done. The CustomResourceDefinitions stay{also}; --delete-crds removes them.")
}

fn several(external_services: usize) -> String {
    match external_services {
        1 => "1 ExternalService".to_owned(),
        n => format!("{n} ExternalServices"),
    }
}

#[cfg(test)]
mod tests;
