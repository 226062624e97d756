//! The cluster's certificates and keys, fresh for every `up`.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};

use crate::kubernetes::kubeconfig;
use crate::paths;
use crate::topology::{API_SERVICE, Host, NODE1};

/// Someone who proves who they are by a certificate.
struct Subject<'a> {
    /// The file name, without `.crt` and `.key`.
    file: &'a str,
    /// Common name: the user.
    user: &'a str,
    /// Organization: the group.
    group: Option<&'a str>,
    /// Names and addresses it serves under; none for clients.
    serves: Vec<SanType>,
}

fn client<'a>(file: &'a str, user: &'a str, group: Option<&'a str>) -> Subject<'a> {
    Subject {
        file,
        user,
        group,
        serves: Vec::new(),
    }
}

fn dns(name: &str) -> Result<SanType> {
    Ok(SanType::DnsName(name.try_into().with_context(|| {
        format!("{name} as a name in a certificate")
    })?))
}

fn ip(address: Ipv4Addr) -> SanType {
    SanType::IpAddress(IpAddr::V4(address))
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Result<Authority> {
        let mut params = CertificateParams::default();
        params.distinguished_name = subject_name(name, None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let key = KeyPair::generate().context("make a key")?;
        let pem = params
            .self_signed(&key)
            .with_context(|| format!("sign the authority {name}"))?
            .pem();
        let issuer = Issuer::new(params, key);
        Ok(Authority { issuer, pem })
    }

    fn issue(&self, folder: &Path, subject: Subject<'_>) -> Result<()> {
        let mut params = CertificateParams::default();
        params.distinguished_name = subject_name(subject.user, subject.group);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if !subject.serves.is_empty() {
            params
                .extended_key_usages
                .push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.subject_alt_names = subject.serves;
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().context("make a key")?;
        let certificate = params
            .signed_by(&key, &self.issuer)
            .with_context(|| format!("sign the certificate of {}", subject.user))?;
        write(folder, &format!("{}.crt", subject.file), &certificate.pem())?;
        write(
            folder,
            &format!("{}.key", subject.file),
            &key.serialize_pem(),
        )
    }
}

fn subject_name(user: &str, group: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, user);
    if let Some(group) = group {
        name.push(DnType::OrganizationName, group);
    }
    name
}

fn write(folder: &Path, name: &str, text: &str) -> Result<()> {
    let path = folder.join(name);
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
        .with_context(|| format!("write {}", path.display()))
}

/// Writes everything into the lab's pki folder, and the kubeconfigs beside.
pub fn generate() -> Result<()> {
    let folder = paths::pki();
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;

    let etcd = Authority::new("extconn-lab-etcd")?;
    write(&folder, "etcd-ca.crt", &etcd.pem)?;
    etcd.issue(
        &folder,
        Subject {
            serves: vec![dns("localhost")?, ip(Ipv4Addr::LOCALHOST)],
            ..client("etcd", "etcd", None)
        },
    )?;
    etcd.issue(&folder, client("etcd-client", "kube-apiserver", None))?;

    let cluster = Authority::new("extconn-lab")?;
    write(&folder, "ca.crt", &cluster.pem)?;
    cluster.issue(
        &folder,
        Subject {
            serves: vec![
                dns("kubernetes")?,
                dns("kubernetes.default")?,
                dns("kubernetes.default.svc")?,
                dns("kubernetes.default.svc.cluster.local")?,
                dns("localhost")?,
                dns(Host::Node1.name())?,
                ip(API_SERVICE),
                ip(NODE1),
                ip(Ipv4Addr::LOCALHOST),
            ],
            ..client("kube-apiserver", "kube-apiserver", None)
        },
    )?;
    let masters = Some("system:masters");
    let kubelet_client = "kube-apiserver-kubelet-client";
    cluster.issue(&folder, client(kubelet_client, kubelet_client, masters))?;
    for (file, user) in [
        ("kube-controller-manager", "system:kube-controller-manager"),
        ("kube-scheduler", "system:kube-scheduler"),
        ("kube-proxy", "system:kube-proxy"),
    ] {
        cluster.issue(&folder, client(file, user, None))?;
        write(
            &folder,
            &format!("{file}.conf"),
            &kubeconfig(&folder, file)?,
        )?;
    }
    for node in Host::NODES {
        let file = format!("kubelet-{node}");
        let user = format!("system:node:{node}");
        cluster.issue(
            &folder,
            Subject {
                serves: vec![dns(node.name())?, ip(node.address())],
                ..client(&file, &user, Some("system:nodes"))
            },
        )?;
        write(
            &folder,
            &format!("{file}.conf"),
            &kubeconfig(&folder, &file)?,
        )?;
    }
    cluster.issue(&folder, client("admin", "lab-admin", masters))?;
    let admin = paths::kubeconfig();
    let state = admin.parent().context("the kubeconfig is in a folder")?;
    write(state, "kubeconfig", &kubeconfig(&folder, "admin")?)?;

    let service_accounts = KeyPair::generate().context("make a key")?;
    write(
        &folder,
        "service-accounts.key",
        &service_accounts.serialize_pem(),
    )?;
    write(
        &folder,
        "service-accounts.pub",
        &service_accounts.public_key_pem(),
    )
}
