//! Pure: who may claim what: which Services an ExternalService may list, and which source IPs it
//! may use. Operator and plugin judge by these rules; `docs/security.md` says why each is there.

use std::collections::BTreeSet;
use std::fmt;

use crate::NamespacedName;

/// Annotation by which the owner of a Service consents to being listed from other namespaces:
/// their names, separated by commas, or `*` for all. Whoever may edit the Service owns it.
pub const EXPOSED_TO: &str = "extconn.submariner.io/exposed-to";

/// The Service of the cluster's own API server: namespace and name.
const API_SERVER: (&str, &str) = ("default", "kubernetes");

/// Environment variable of the operator's container with the namespaces, beside the connector
/// namespace, that an administrator trusts: separated by commas.
pub const TRUSTED_NAMESPACES: &str = "TRUSTED_NAMESPACES";

/// The [`Permissions`](crate::Permissions) in the connector namespace with what admission has to
/// know and cannot read itself, kept by the operator. One entry for each Service whose owner consents ([`consent_key`]) and
/// for each source IP that is reserved ([`reservation_key`]): namespaces, separated by commas.
pub const PERMISSIONS: &str = "extconn-permissions";

/// Key in [`PERMISSIONS`] of a Service's consent. Neither name has a dot in it.
pub fn consent_key(service: &NamespacedName) -> String {
    format!("service.{}.{}", service.namespace, service.name)
}

/// Key in [`PERMISSIONS`] of a source IP's reservation.
pub fn reservation_key(source_ip: &str) -> String {
    format!("source-ip.{source_ip}")
}

/// Key in [`PERMISSIONS`] that says that consents are left out, for there are too many: admission
/// leaves them to the operator.
pub const INCOMPLETE: &str = "incomplete";

/// Namespaces, or all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespaces(BTreeSet<String>);

impl Namespaces {
    /// Reads names separated by commas; `*` is all. Blanks and empty entries do not count.
    pub fn parse(text: &str) -> Self {
        let names = text.split(',').map(str::trim);
        Self(
            names
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
        )
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the namespace is one of them.
    pub fn contains(&self, namespace: &str) -> bool {
        self.0.contains("*") || self.0.contains(namespace)
    }
}

impl<S: Into<String>> FromIterator<S> for Namespaces {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }
}

/// As [`Namespaces::parse`] reads it: `crm,shop`.
impl fmt::Display for Namespaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(String::as_str).collect();
        f.write_str(&names.join(","))
    }
}

/// Namespaces whose ExternalServices may list Services of every namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// The connector namespace, into which only administrators write.
    pub connector_namespace: String,
    /// Others that an administrator has named.
    pub others: Namespaces,
}

impl Trust {
    fn covers(&self, namespace: &str) -> bool {
        self.connector_namespace == namespace || self.others.contains(namespace)
    }
}

/// What is not permitted, and what to do. Its text form is both in one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The object and why.
    pub text: String,
    /// The next step.
    pub next: String,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.text, self.next)
    }
}

/// Whether the Service is the cluster's own API server, which nobody may list.
pub fn is_api_server(service: &NamespacedName) -> bool {
    (service.namespace.as_str(), service.name.as_str()) == API_SERVER
}

/// Whether ExternalServices of the namespace `by` may list `service`, whose annotation
/// [`EXPOSED_TO`] is `consent`.
///
/// A Service that does not exist consents to nothing: who may not list it does not learn whether
/// it is there.
///
/// # Errors
/// They may not.
pub fn check_service(
    service: &NamespacedName,
    consent: Option<&str>,
    by: &str,
    trust: &Trust,
) -> Result<(), Denied> {
    let NamespacedName { namespace, name } = service;
    if is_api_server(service) {
        return Err(Denied {
            text: format!("Service {service} is the cluster's API server"),
            next: "take it out of spec.sources, it is never a source".into(),
        });
    }
    let consents = || consent.is_some_and(|list| Namespaces::parse(list).contains(by));
    if namespace == by || trust.covers(by) || consents() {
        return Ok(());
    }
    let connector = &trust.connector_namespace;
    Err(Denied {
        text: format!(
            "Service {service} is in another namespace than this ExternalService, and does not \
             consent to {by}"
        ),
        next: format!(
            "as an administrator apply the ExternalService with \"kubectl apply -n {connector} \
             -f FILE\", or let the owner of the Service run \"kubectl annotate service -n \
             {namespace} {name} {EXPOSED_TO}={by}\""
        ),
    })
}

/// Whether ExternalServices of the namespace `by` may use a source IP whose gateway host reserves
/// it for the namespaces `allowed`; `None` if it does not.
///
/// # Errors
/// They may not.
pub fn check_source_ip(
    source_ip: &str,
    allowed: Option<&[String]>,
    host: Option<&str>,
    by: &str,
) -> Result<(), Denied> {
    let Some(allowed) = allowed else {
        return Ok(());
    };
    if allowed.iter().any(|namespace| namespace == by) {
        return Ok(());
    }
    let host = host.map(|host| format!(" {host}")).unwrap_or_default();
    Err(Denied {
        text: format!(
            "source IP {source_ip} is reserved for ExternalServices of the namespaces {}, not {by}",
            allowed.join(", ")
        ),
        next: format!(
            "use another source IP, or let the administrator of gateway host{host} add {by} to \
             its namespaces in /etc/extconn/gateway.yaml"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: (&str, &str) = ("bank", "payments");

    fn check(service: (&str, &str), consent: Option<&str>, by: &str, expect: Result<(), &str>) {
        let trust = Trust {
            connector_namespace: "external-services".into(),
            others: Namespaces::parse("platform, net-ops"),
        };
        let (namespace, name) = service;
        let service = NamespacedName {
            namespace: namespace.into(),
            name: name.into(),
        };
        match (check_service(&service, consent, by, &trust), expect) {
            (Ok(()), Ok(())) => {}
            (Err(denied), Err(words)) => {
                let said = denied.to_string();
                assert!(said.contains(words), "{said} lacks {words:?}");
            }
            (found, _) => panic!("{service} by {by} with {consent:?}: {found:?}"),
        }
    }

    #[test]
    fn a_service_may_be_listed_from_its_own_namespace_and_trusted_ones() {
        for by in ["bank", "external-services", "platform", "net-ops"] {
            check(SERVICE, None, by, Ok(()));
        }
        let next = "kubectl apply -n external-services -f FILE";
        check(SERVICE, None, "evil", Err(next));
        let consent = "kubectl annotate service -n bank payments \
                       extconn.submariner.io/exposed-to=evil";
        check(SERVICE, None, "evil", Err(consent));
    }

    #[test]
    fn the_owner_consents_to_whole_names_only() {
        for consent in ["shop", "crm,shop", " crm , shop ,", "*", "shop,shop"] {
            check(SERVICE, Some(consent), "shop", Ok(()));
        }
        for consent in [
            "", ",", "shop2", "my-shop", "Shop", "shop crm", "shop*", "crm;shop",
        ] {
            check(SERVICE, Some(consent), "shop", Err("does not consent"));
        }
    }

    #[test]
    fn the_api_server_is_never_a_source() {
        let api_server = ("default", "kubernetes");
        for by in ["default", "external-services", "evil"] {
            check(api_server, Some("*"), by, Err("the cluster's API server"));
        }
        check(("default", "shop"), None, "default", Ok(()));
        check(("shop", "kubernetes"), None, "shop", Ok(()));
    }

    #[test]
    fn a_reserved_source_ip_is_for_its_namespaces() {
        let bank = ["bank".to_owned()];
        let by = |by, allowed| check_source_ip("192.0.2.10", allowed, Some("gw1"), by);
        assert_eq!(by("evil", None), Ok(()));
        assert_eq!(by("bank", Some(&bank[..])), Ok(()));
        assert!(by("bank", Some(&[])).is_err());
        // The host's administrator need not be the cluster's.
        for namespace in ["evil", "external-services"] {
            let denied = by(namespace, Some(&bank)).unwrap_err().to_string();
            assert!(denied.contains("namespaces bank, not"), "{denied}");
            assert!(
                denied.contains("administrator of gateway host gw1"),
                "{denied}"
            );
        }
    }
}
