//! Pure: the host file, by which the gateway host's administrator says what the cluster may use
//! there. It has the last word: what it does not allow does not happen.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::str::FromStr;

use extconn_api::names;
use ipnet::Ipv4Net;
use serde::{Deserialize, Deserializer};

/// A host file that makes sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFile {
    /// Namespace of the Gateway and Forwarder objects.
    pub connector_namespace: String,
    /// How to reach the Kubernetes API.
    pub kubeconfig: PathBuf,
    /// Name of this host in the Gateway status; `None` for the name that the system has.
    pub host_name: Option<String>,
    /// The ssh server's address and port as forwarders reach it.
    pub ssh_endpoint: SocketAddrV4,
    /// The ssh server's address and port on this host.
    pub ssh_listen: SocketAddrV4,
    /// Address and port of `/healthz`, `/readyz` and `/metrics`.
    pub http_listen: SocketAddr,
    /// The source IPs that the cluster may use here, and who assigns each.
    pub source_ips: BTreeMap<Ipv4Addr, Assignment>,
    /// Of these, the ones that only ExternalServices of some namespaces may use: their names,
    /// sorted, at least one.
    pub reserved: BTreeMap<Ipv4Addr, Vec<String>>,
    /// The only networks that may be reached; `None` if all may.
    pub target_networks: Option<Vec<Ipv4Net>>,
}

/// Who assigns a source IP to an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assignment {
    /// The administrator.
    Administrator,
    /// The gateway, to the interface of this name, for as long as it runs.
    Gateway(String),
}

/// A host file that makes no sense; says where and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFileError(String);

impl fmt::Display for HostFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for HostFileError {}

/// The file as it is written. Field names are the file's.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    #[serde(default = "connector_namespace")]
    connector_namespace: String,
    #[serde(default = "kubeconfig")]
    kubeconfig: PathBuf,
    host_name: Option<String>,
    #[serde(deserialize_with = "endpoint")]
    ssh_endpoint: SocketAddrV4,
    #[serde(default, deserialize_with = "optional_endpoint")]
    ssh_listen: Option<SocketAddrV4>,
    #[serde(default = "http_listen", deserialize_with = "http_endpoint")]
    http_listen: SocketAddr,
    #[serde(rename = "sourceIPs")]
    source_ips: Vec<WrittenSourceIp>,
    #[serde(default)]
    target_networks: Option<Vec<Network>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenSourceIp {
    #[serde(deserialize_with = "address")]
    ip: Ipv4Addr,
    assign_to: Option<String>,
    namespaces: Option<Vec<String>>,
}

struct Network(Ipv4Net);

fn connector_namespace() -> String {
    names::CONNECTOR_NAMESPACE.to_owned()
}

fn kubeconfig() -> PathBuf {
    PathBuf::from("/etc/extconn/kubeconfig")
}

fn http_listen() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 9180).into()
}

/// Reads a text and says what it should have been.
fn parsed<'de, D, T>(deserializer: D, expected: &str) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr,
{
    let text = String::deserialize(deserializer)?;
    text.parse()
        .map_err(|_| serde::de::Error::custom(format!("{text:?} is no {expected}")))
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Ipv4Addr, D::Error> {
    parsed(deserializer, "IPv4 address such as 192.0.2.10")
}

fn endpoint<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddrV4, D::Error> {
    parsed(deserializer, "IPv4 address and port such as 192.0.2.1:2022")
}

fn optional_endpoint<'de, D>(deserializer: D) -> Result<Option<SocketAddrV4>, D::Error>
where
    D: Deserializer<'de>,
{
    endpoint(deserializer).map(Some)
}

fn http_endpoint<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    parsed(deserializer, "address and port such as 127.0.0.1:9180")
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let network: Ipv4Net = parsed(deserializer, "IPv4 network such as 203.0.113.0/24")?;
        if network.addr() != network.network() {
            let trunc = network.trunc();
            let message = format!("{network} is an address in a network: write {trunc}");
            return Err(serde::de::Error::custom(message));
        }
        Ok(Self(network))
    }
}

impl FromStr for HostFile {
    type Err = HostFileError;

    /// Reads the YAML text of a host file.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let blank = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
        if text.lines().all(blank) {
            return Err(HostFileError(
                "the file is empty: it needs sshEndpoint and sourceIPs".to_owned(),
            ));
        }
        let written: Written =
            serde_yaml::from_str(text).map_err(|e| HostFileError(in_one_line(&e.to_string())))?;
        written.checked().map_err(HostFileError)
    }
}

/// The library draws the line below its sentence and adds hints for programmers.
fn in_one_line(error: &str) -> String {
    let line = error.lines().next().unwrap_or(error);
    let line = line.strip_prefix("error: ").unwrap_or(line);
    let line = line
        .split(", set DuplicateKeyPolicy")
        .next()
        .unwrap_or(line);
    line.to_owned()
}

impl Written {
    fn checked(self) -> Result<HostFile, String> {
        namespace("connectorNamespace", &self.connector_namespace)?;
        if !self.kubeconfig.is_absolute() {
            let path = self.kubeconfig.display();
            return Err(format!("kubeconfig: {path:?} must begin with /"));
        }
        if self
            .host_name
            .as_ref()
            .is_some_and(|n| n.trim().is_empty() || n.len() > 253)
        {
            return Err(
                "hostName: must have 1 to 253 characters; leave it out to use the system's"
                    .to_owned(),
            );
        }
        host("sshEndpoint", *self.ssh_endpoint.ip())?;
        port("sshEndpoint", self.ssh_endpoint.port())?;
        let ssh_listen = self
            .ssh_listen
            .unwrap_or_else(|| SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, self.ssh_endpoint.port()));
        port("sshListen", ssh_listen.port())?;
        port("httpListen", self.http_listen.port())?;
        if self.http_listen.port() == ssh_listen.port() {
            return Err(format!(
                "httpListen: port {} is the ssh server's: take another",
                ssh_listen.port()
            ));
        }
        let (source_ips, reserved) = source_ips(self.source_ips)?;
        Ok(HostFile {
            connector_namespace: self.connector_namespace,
            kubeconfig: self.kubeconfig,
            host_name: self.host_name,
            ssh_endpoint: self.ssh_endpoint,
            ssh_listen,
            http_listen: self.http_listen,
            source_ips,
            reserved,
            target_networks: target_networks(self.target_networks)?,
        })
    }
}

type SourceIps = (
    BTreeMap<Ipv4Addr, Assignment>,
    BTreeMap<Ipv4Addr, Vec<String>>,
);

fn source_ips(written: Vec<WrittenSourceIp>) -> Result<SourceIps, String> {
    if written.is_empty() {
        return Err(
            "sourceIPs: is empty: list at least one address that the cluster may use here"
                .to_owned(),
        );
    }
    let mut source_ips = BTreeMap::new();
    let mut reserved = BTreeMap::new();
    for WrittenSourceIp {
        ip,
        assign_to,
        namespaces,
    } in written
    {
        host("sourceIPs", ip)?;
        let assignment = match assign_to {
            None => Assignment::Administrator,
            Some(name) => Assignment::Gateway(interface(ip, name)?),
        };
        if source_ips.insert(ip, assignment).is_some() {
            return Err(format!("sourceIPs: {ip} is listed twice"));
        }
        if let Some(namespaces) = namespaces {
            reserved.insert(ip, reservation(ip, namespaces)?);
        }
    }
    Ok((source_ips, reserved))
}

fn reservation(ip: Ipv4Addr, mut namespaces: Vec<String>) -> Result<Vec<String>, String> {
    if namespaces.is_empty() {
        return Err(format!(
            "namespaces of {ip}: is empty, which would allow nobody: leave it out to allow every \
             namespace, or list some"
        ));
    }
    let field = format!("namespaces of {ip}");
    for name in &namespaces {
        namespace(&field, name)?;
    }
    namespaces.sort();
    namespaces.dedup();
    Ok(namespaces)
}

fn target_networks(written: Option<Vec<Network>>) -> Result<Option<Vec<Ipv4Net>>, String> {
    match written {
        Some(networks) if networks.is_empty() => Err(
            "targetNetworks: is empty, which would allow nothing: leave it out to allow every \
             target, or list networks"
                .to_owned(),
        ),
        networks => Ok(networks.map(|n| n.into_iter().map(|Network(net)| net).collect())),
    }
}

fn namespace(field: &str, name: &str) -> Result<(), String> {
    let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let sound = (1..=63).contains(&name.len())
        && name.chars().all(inside)
        && !name.starts_with('-')
        && !name.ends_with('-');
    sound
        .then_some(())
        .ok_or_else(|| format!("{field}: {name:?} is no name of a namespace"))
}

fn host(field: &str, address: Ipv4Addr) -> Result<(), String> {
    if crate::build::is_never_a_host(address) {
        return Err(format!(
            "{field}: {address} is the address of no single host that others can reach"
        ));
    }
    Ok(())
}

fn port(field: &str, port: u16) -> Result<(), String> {
    match port {
        0 => Err(format!("{field}: port 0 is no port")),
        _ => Ok(()),
    }
}

fn interface(ip: Ipv4Addr, name: String) -> Result<String, String> {
    // Linux: IFNAMSIZ leaves 15 bytes; `/`, `:` and blanks are refused by the kernel.
    let sound = (1..=15).contains(&name.len())
        && name != "."
        && name != ".."
        && name
            .chars()
            .all(|c| c.is_ascii_graphic() && c != '/' && c != ':');
    if sound {
        Ok(name)
    } else {
        Err(format!(
            "assignTo of {ip}: {name:?} is no name of a network interface"
        ))
    }
}

#[cfg(test)]
mod tests;
