//! Pure: what the user wants to expose, as typed words.

use std::net::Ipv4Addr;
use std::str::FromStr;

use extconn_api::external_service::{Port, ServiceReference, Source};
use extconn_api::{ExternalService, ExternalServiceSpec, NamespacedName, Protocol};

/// Longest name of an ExternalService, in characters; the schema says the same.
const LONGEST_NAME: usize = 50;

/// A complete request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Namespace and name of the ExternalService.
    pub key: NamespacedName,
    /// The external server.
    pub target: Ipv4Addr,
    /// At least one.
    pub ports: Vec<PortRequest>,
    /// At least one; the order decides for a pod behind two of them.
    pub sources: Vec<SourceRequest>,
    /// Which directions are wanted.
    pub directions: Directions,
}

/// Which side may connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Directions {
    /// The pods to the external server and the other way round.
    Both,
    /// The pods to the external server.
    EgressOnly,
}

/// A port: `8000`, or `15432:5432` if pods dial another one than the server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PortRequest {
    /// What pods dial.
    pub dial: u16,
    /// What the external server listens on.
    pub port: u16,
}

/// A Service and its source IP: `[NAMESPACE/]SERVICE=IP`. The IP may still be missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceArg {
    /// Namespace of the Service, if given.
    pub namespace: Option<String>,
    /// Name of the Service.
    pub name: String,
    /// The source IP, if given.
    pub source_ip: Option<Ipv4Addr>,
}

/// A Service and its source IP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceRequest {
    /// The Service.
    pub service: NamespacedName,
    /// The source IP.
    pub source_ip: Ipv4Addr,
}

impl FromStr for PortRequest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| match text.parse::<u16>() {
            Ok(port) if port > 0 => Ok(port),
            _ => Err(format!(
                "{text:?} is no port: write a number from 1 to 65535, such as 5432"
            )),
        };
        match text.split_once(':') {
            Some((dial, port)) => Ok(Self {
                dial: number(dial)?,
                port: number(port)?,
            }),
            None => number(text).map(|port| Self { dial: port, port }),
        }
    }
}

impl FromStr for SourceArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (service, ip) = match text.split_once('=') {
            Some((service, ip)) => (service, Some(address(ip)?)),
            None => (text, None),
        };
        let (namespace, name) = match service.split_once('/') {
            Some((namespace, name)) => (Some(namespace.to_owned()), name),
            None => (None, service),
        };
        if name.is_empty() || namespace.as_deref() == Some("") || name.contains('/') {
            return Err(format!(
                "{text:?} names no Service: write NAMESPACE/SERVICE=IP, such as shop/web=192.0.2.10"
            ));
        }
        Ok(Self {
            namespace,
            name: name.to_owned(),
            source_ip: ip,
        })
    }
}

/// Reads an IPv4 address that a server or a source IP can have.
///
/// # Errors
/// A sentence with an example.
pub(crate) fn address(text: &str) -> Result<Ipv4Addr, String> {
    let ip: Ipv4Addr = text
        .trim()
        .parse()
        .map_err(|_| format!("{text:?} is no IPv4 address: write one such as 203.0.113.7"))?;
    let usable = !(ip.is_loopback()
        || ip.is_multicast()
        || ip.is_link_local()
        || ip.is_unspecified()
        || ip.is_broadcast());
    if usable {
        Ok(ip)
    } else {
        Err(format!(
            "{ip} is no address of a server: it must be neither loopback, link-local, multicast nor broadcast"
        ))
    }
}

/// Checks a name for an ExternalService, which becomes a Service name.
///
/// # Errors
/// What it has to look like.
pub(crate) fn name(text: &str) -> Result<String, String> {
    let begins = text.starts_with(|c: char| c.is_ascii_lowercase());
    let inside = text
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if begins && inside && !text.ends_with('-') && text.len() <= LONGEST_NAME {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "{text:?} is no name: it takes at most {LONGEST_NAME} lower-case letters, digits and '-', begins with a letter and does not end with '-'"
        ))
    }
}

impl Request {
    /// The object to apply.
    pub(crate) fn external_service(&self) -> ExternalService {
        let sources = self.sources.iter().map(|source| Source {
            service: ServiceReference {
                namespace: (source.service.namespace != self.key.namespace)
                    .then(|| source.service.namespace.clone()),
                name: source.service.name.clone(),
            },
            source_ip: source.source_ip.to_string(),
        });
        let ports = self.ports.iter().map(|port| Port {
            protocol: Protocol::Tcp,
            port: port.port,
            target_port: (port.dial != port.port).then_some(port.dial),
        });
        let mut object = ExternalService::new(
            &self.key.name,
            ExternalServiceSpec {
                target_ip: self.target.to_string(),
                sources: sources.collect(),
                ports: ports.collect(),
                bidirectional: self.directions == Directions::Both,
            },
        );
        object.metadata.namespace = Some(self.key.namespace.clone());
        object
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_sources_read_as_they_are_documented() {
        assert_eq!(
            "8000".parse(),
            Ok(PortRequest {
                dial: 8000,
                port: 8000
            })
        );
        assert_eq!(
            "15432:5432".parse(),
            Ok(PortRequest {
                dial: 15432,
                port: 5432
            })
        );
        let source: SourceArg = "ns1/web=192.0.2.10".parse().unwrap();
        assert_eq!(
            (source.namespace.as_deref(), source.name.as_str()),
            (Some("ns1"), "web")
        );
        assert_eq!(source.source_ip, Some(Ipv4Addr::new(192, 0, 2, 10)));
        assert_eq!("web".parse::<SourceArg>().unwrap().source_ip, None);
    }

    #[test]
    fn nonsense_is_refused_with_an_example() {
        for text in ["0", "65536", "http", "-1", "1:", ":1", "1:2:3", ""] {
            assert!(
                text.parse::<PortRequest>().unwrap_err().contains("5432"),
                "{text}"
            );
        }
        for text in [
            "/web=192.0.2.1",
            "ns/",
            "a/b/c=192.0.2.1",
            "web=192.0.2",
            "=192.0.2.1",
            "web=127.0.0.1",
        ] {
            assert!(text.parse::<SourceArg>().is_err(), "{text}");
        }
        for text in [
            "256.1.1.1",
            "1.2.3",
            "::1",
            "0.0.0.0",
            "224.0.0.1",
            "169.254.169.254",
            "255.255.255.255",
            "010.0.0.1",
        ] {
            assert!(address(text).is_err(), "{text}");
        }
        for text in ["", "A", "1a", "a-", "a.b", &"a".repeat(51)] {
            assert!(name(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_object_says_no_more_than_it_must() {
        let request = Request {
            key: NamespacedName {
                namespace: "ns1".into(),
                name: "db".into(),
            },
            target: Ipv4Addr::new(203, 0, 113, 7),
            ports: vec!["15432:5432".parse().unwrap(), "80".parse().unwrap()],
            sources: vec![SourceRequest {
                service: NamespacedName {
                    namespace: "ns1".into(),
                    name: "on".into(),
                },
                source_ip: Ipv4Addr::new(192, 0, 2, 10),
            }],
            directions: Directions::EgressOnly,
        };
        let value = serde_json::to_value(request.external_service()).unwrap();
        assert_eq!(
            value["spec"],
            serde_json::json!({
                "targetIP": "203.0.113.7",
                "sources": [{"service": {"name": "on"}, "sourceIP": "192.0.2.10"}],
                "ports": [{"protocol": "TCP", "port": 5432, "targetPort": 15432}, {"protocol": "TCP", "port": 80}],
                "bidirectional": false
            })
        );
    }
}
