//! Pure: the files that make a gateway host.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::host::facts::HostFacts;
use crate::host::preflight::Copies;

/// The gateway's own installer and what it installs.
pub(crate) const INSTALL: &str = include_str!("../../../gateway/install.sh");
/// The gateway's own uninstaller.
pub(crate) const UNINSTALL: &str = include_str!("../../../gateway/uninstall.sh");
const UNIT: &str = include_str!("../../../gateway/systemd/extconn-gateway.service");
const SYSUSERS: &str = include_str!("../../../gateway/systemd/sysusers.conf");

/// Where the gateway reads how to reach the API server.
pub(crate) const KUBECONFIG: &str = "/etc/extconn/kubeconfig";

/// Where the gateway program is installed.
const PROGRAM: &str = "/usr/local/bin/extconn-gateway";

/// Where the gateway keeps its token.
const TOKEN_FILE: &str = "/var/lib/extconn/token";

/// What the cluster may use on a gateway host: the part of the host file that `init` speaks of.
/// Fields that it does not know are kept as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HostFile {
    /// The ssh server as the cluster reaches it.
    pub ssh_endpoint: SocketAddrV4,
    /// The source IPs.
    #[serde(rename = "sourceIPs")]
    pub source_ips: Vec<SourceIp>,
    /// The only networks that may be reached; all if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_networks: Option<Vec<String>>,
    /// Namespace of the Gateway and Forwarder objects.
    #[serde(default = "connector_namespace")]
    pub connector_namespace: String,
    /// Name of the host in the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_name: Option<String>,
    /// Whatever else the administrator wrote.
    #[serde(flatten)]
    pub other: BTreeMap<String, serde_json::Value>,
}

/// A source IP and who assigns it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SourceIp {
    /// The address.
    pub ip: Ipv4Addr,
    /// Interface to which the gateway assigns it; the administrator assigns it if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assign_to: Option<String>,
    /// The only namespaces whose ExternalServices may use it; all if left out. `init` keeps what
    /// the administrator wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<Vec<String>>,
}

fn connector_namespace() -> String {
    extconn_api::names::CONNECTOR_NAMESPACE.to_owned()
}

impl HostFile {
    /// Reads a host file.
    ///
    /// # Errors
    /// What it does not understand.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        serde_yaml::from_str(text).map_err(|error| error.to_string())
    }

    /// The file's text.
    pub(crate) fn text(&self) -> String {
        let yaml = serde_yaml::to_string(self).expect("a host file has string keys only");
        format!(
            "# What the cluster may use on this host; its administrator has the last word.\n\
             # Written by `kubectl extconn init`, which keeps what you change.\n{yaml}"
        )
    }
}

/// The gateway's kubeconfig: no credential in it but the name of the token's file.
pub(crate) fn kubeconfig(
    server: &str,
    certificate_authority: &str,
    tls_server_name: Option<&str>,
) -> String {
    let mut cluster = json!({"server": server, "certificate-authority-data": base64(certificate_authority.as_bytes())});
    if let Some(name) = tls_server_name {
        cluster["tls-server-name"] = name.into();
    }
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "extconn",
        "clusters": [{"name": "extconn", "cluster": cluster}],
        "users": [{"name": "extconn", "user": {"tokenFile": TOKEN_FILE}}],
        "contexts": [{"name": "extconn", "context": {"cluster": "extconn", "user": "extconn"}}],
    });
    serde_yaml::to_string(&kubeconfig).expect("a kubeconfig has string keys only")
}

/// The cluster that a gateway serves, as its kubeconfig names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServedCluster {
    /// Address by which the gateway reaches the API server.
    pub server: String,
    /// Certificates by which it knows it, as the kubeconfig has them: PEM in base64.
    pub certificate_authority: String,
}

impl ServedCluster {
    /// A cluster with this address and these certificates, in PEM.
    pub(crate) fn new(server: &str, certificate_authority: &str) -> Self {
        Self {
            server: server.to_owned(),
            certificate_authority: base64(certificate_authority.as_bytes()),
        }
    }

    /// Whether both are known by one certificate: which others are beside it differs from one
    /// kubeconfig to another.
    pub(crate) fn shares_a_certificate(&self, other: &Self) -> bool {
        let certificates = |of: &Self| -> Vec<String> {
            let pem = from_base64(&of.certificate_authority).unwrap_or_default();
            let blocks = pem.split_inclusive("-----END CERTIFICATE-----");
            let trimmed = blocks.map(|block| block.trim().to_owned());
            trimmed.filter(|block| !block.is_empty()).collect()
        };
        let theirs = certificates(other);
        certificates(self).iter().any(|one| theirs.contains(one))
    }

    /// Reads a kubeconfig; `None` if it names no cluster.
    pub(crate) fn of(kubeconfig: &str) -> Option<Self> {
        let value: serde_json::Value = serde_yaml::from_str(kubeconfig).ok()?;
        let cluster = &value["clusters"][0]["cluster"];
        let text = |key: &str| cluster[key].as_str().map(str::to_owned);
        Some(Self {
            server: text("server")?,
            certificate_authority: text("certificate-authority-data").unwrap_or_default(),
        })
    }
}

fn base64(bytes: &[u8]) -> String {
    use ::base64::Engine;
    ::base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn from_base64(text: &str) -> Option<String> {
    use ::base64::Engine;
    let bytes = ::base64::engine::general_purpose::STANDARD
        .decode(text)
        .ok()?;
    String::from_utf8(bytes).ok()
}

/// Everything that is copied to the host, but for the token.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct HostFiles {
    /// The gateway program.
    pub binary: Vec<u8>,
    /// Text of the host file.
    pub host_file: String,
    /// Text of the kubeconfig.
    pub kubeconfig: String,
}

impl HostFiles {
    /// What goes into the staging folder: path within it and content.
    pub(crate) fn staged(&self) -> Vec<(&'static str, &[u8])> {
        vec![
            ("install.sh", INSTALL.as_bytes()),
            ("systemd/extconn-gateway.service", UNIT.as_bytes()),
            ("systemd/sysusers.conf", SYSUSERS.as_bytes()),
            ("extconn-gateway", &self.binary),
            ("gateway.yaml", self.host_file.as_bytes()),
            ("kubeconfig", self.kubeconfig.as_bytes()),
        ]
    }

    /// Installed files that are missing or differ, in the order of installation.
    pub(crate) fn differing(&self, facts: &HostFacts) -> Vec<&'static str> {
        let wanted: [(&str, &[u8]); 5] = [
            ("/etc/sysusers.d/extconn.conf", SYSUSERS.as_bytes()),
            (PROGRAM, &self.binary),
            ("/etc/extconn/gateway.yaml", self.host_file.as_bytes()),
            (KUBECONFIG, self.kubeconfig.as_bytes()),
            (
                "/etc/systemd/system/extconn-gateway.service",
                UNIT.as_bytes(),
            ),
        ];
        let differs = |(path, content): &(&'static str, &[u8])| {
            facts.files.get(*path) != Some(&sha256(content))
        };
        wanted
            .into_iter()
            .filter(differs)
            .map(|(path, _)| path)
            .collect()
    }

    /// Sizes of what installing writes to the host, where these files differ.
    pub(crate) fn copies(&self, differing: &[&str]) -> Copies {
        let kib = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX).div_ceil(1024);
        Copies {
            staged_kib: self.staged().iter().map(|(_, file)| kib(file.len())).sum(),
            program_kib: if differing.contains(&PROGRAM) {
                kib(self.binary.len())
            } else {
                0
            },
        }
    }
}

/// SHA-256 in lower-case hex.
pub(crate) fn sha256(content: &[u8]) -> String {
    Sha256::digest(content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITTEN: &str = "
# mine
sshEndpoint: 192.0.2.1:2022
sourceIPs:
  - ip: 192.0.2.10
  - ip: 192.0.2.11
    assignTo: eth0
httpListen: 127.0.0.1:9999
";

    #[test]
    fn a_host_file_is_read_with_its_defaults_and_keeps_what_is_unknown() {
        let file = HostFile::parse(WRITTEN).unwrap();
        assert_eq!(file.connector_namespace, "external-services");
        assert_eq!(file.source_ips[1].assign_to.as_deref(), Some("eth0"));
        assert_eq!(HostFile::parse(&file.text()), Ok(file.clone()));
        assert!(file.text().contains("127.0.0.1:9999"), "{}", file.text());
    }

    #[test]
    fn only_what_differs_is_installed() {
        let files = HostFiles {
            binary: b"x".to_vec(),
            host_file: "h".into(),
            kubeconfig: "k".into(),
        };
        let mut facts = HostFacts::default();
        assert_eq!(files.differing(&facts).len(), 5);
        for (path, content) in [
            ("/etc/sysusers.d/extconn.conf", SYSUSERS),
            ("/etc/systemd/system/extconn-gateway.service", UNIT),
            ("/usr/local/bin/extconn-gateway", "x"),
            ("/etc/extconn/gateway.yaml", "h"),
            ("/etc/extconn/kubeconfig", "old"),
        ] {
            facts
                .files
                .insert(path.to_owned(), sha256(content.as_bytes()));
        }
        assert_eq!(files.differing(&facts), ["/etc/extconn/kubeconfig"]);
        assert_eq!(files.copies(&files.differing(&facts)).program_kib, 0);
        assert_eq!(files.copies(&[PROGRAM]).program_kib, 1);
    }

    #[test]
    fn one_certificate_in_common_makes_the_same_cluster() {
        let block = |body: &str| {
            format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
        };
        let (a, b, c) = (block("A"), block("B"), block("C"));
        let served = |pem: &str| ServedCluster::new("https://192.0.2.1", pem);
        assert!(served(&format!("{a}{b}")).shares_a_certificate(&served(&format!("{b}{c}"))));
        assert!(!served(&a).shares_a_certificate(&served(&format!("{b}{c}"))));
        assert!(!served("").shares_a_certificate(&served("")));
    }

    #[test]
    fn the_kubeconfig_holds_no_credential() {
        let text = kubeconfig("https://192.0.2.100:6443", "PEM", None);
        let served = ServedCluster::new("https://192.0.2.100:6443", "PEM");
        assert_eq!(ServedCluster::of(&text), Some(served));
        assert_eq!(ServedCluster::of("no kubeconfig"), None);
        let value: serde_json::Value = serde_yaml::from_str(&text).unwrap();
        assert_eq!(
            value["clusters"][0]["cluster"]["certificate-authority-data"],
            "UEVN"
        );
        assert_eq!(
            value["users"][0]["user"],
            json!({"tokenFile": "/var/lib/extconn/token"})
        );
    }
}
