//! Pure: how the parts of the cluster are started and configured.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use crate::paths;
use crate::topology::{API_SERVER, Host, NODE1, POD_CIDR, SERVICE_CIDR};
use crate::unit::Unit;

mod node;

pub use node::node_files;

/// Name of the image that holds a pod's namespaces open.
pub const PAUSE_IMAGE: &str = "localhost/extconn-lab-pause:1";
/// Name of the image of the cluster's DNS; `manifests/coredns.yaml` names it too.
pub const DNS_IMAGE: &str = "localhost/extconn-lab-coredns:1.15.0";
/// Name of the image of test pods: busybox.
pub const POD_IMAGE: &str = "localhost/extconn-lab-pod:1";

/// DNS of the cluster, to be applied once the API server is ready.
pub const DNS_MANIFEST: &str = include_str!("../manifests/coredns.yaml");

/// Where a node's containerd listens.
pub const CONTAINERD_SOCKET: &str = "/run/containerd/containerd.sock";

fn pki(file: &str) -> String {
    paths::pki().join(file).display().to_string()
}

/// A kubeconfig for the certificate `<user>.crt` in `folder`.
pub fn kubeconfig(folder: &Path, user: &str) -> Result<String> {
    let file = |name: String| folder.join(name).display().to_string();
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "extconn-lab",
            "cluster": {
                "server": API_SERVER,
                "certificate-authority": file("ca.crt".into()),
            },
        }],
        "users": [{
            "name": user,
            "user": {
                "client-certificate": file(format!("{user}.crt")),
                "client-key": file(format!("{user}.key")),
            },
        }],
        "contexts": [{
            "name": "extconn-lab",
            "context": {"cluster": "extconn-lab", "user": user},
        }],
        "current-context": "extconn-lab",
    });
    serde_json::to_string_pretty(&config).context("write a kubeconfig")
}

/// The cluster's store, on node 1's loopback.
pub fn etcd() -> Unit {
    Unit::new(
        "etcd",
        [
            "etcd".into(),
            "--name=node1".into(),
            "--data-dir=/var/lib/etcd/state".into(),
            "--listen-client-urls=https://127.0.0.1:2379".into(),
            "--advertise-client-urls=https://127.0.0.1:2379".into(),
            "--listen-peer-urls=http://127.0.0.1:2380".into(),
            "--initial-advertise-peer-urls=http://127.0.0.1:2380".into(),
            "--initial-cluster=node1=http://127.0.0.1:2380".into(),
            "--client-cert-auth=true".into(),
            format!("--trusted-ca-file={}", pki("etcd-ca.crt")),
            format!("--cert-file={}", pki("etcd.crt")),
            format!("--key-file={}", pki("etcd.key")),
        ],
    )
}

/// The API server.
pub fn api_server() -> Unit {
    let mut argv = vec![
        "kube-apiserver".to_owned(),
        format!("--advertise-address={NODE1}"),
        "--secure-port=6443".into(),
        "--etcd-servers=https://127.0.0.1:2379".into(),
        "--authorization-mode=Node,RBAC".into(),
        "--enable-admission-plugins=NodeRestriction".into(),
        "--allow-privileged=true".into(),
        format!("--service-cluster-ip-range={SERVICE_CIDR}"),
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local".into(),
        // One API server: it may forget itself when it is gone.
        "--endpoint-reconciler-type=lease".into(),
        // Names of nodes are in no DNS; exec and logs dial their addresses.
        "--kubelet-preferred-address-types=InternalIP".into(),
        "--profiling=false".into(),
    ];
    for (flag, file) in [
        ("etcd-cafile", "etcd-ca.crt"),
        ("etcd-certfile", "etcd-client.crt"),
        ("etcd-keyfile", "etcd-client.key"),
        ("client-ca-file", "ca.crt"),
        ("tls-cert-file", "kube-apiserver.crt"),
        ("tls-private-key-file", "kube-apiserver.key"),
        ("kubelet-certificate-authority", "ca.crt"),
        (
            "kubelet-client-certificate",
            "kube-apiserver-kubelet-client.crt",
        ),
        ("kubelet-client-key", "kube-apiserver-kubelet-client.key"),
        ("service-account-key-file", "service-accounts.pub"),
        ("service-account-signing-key-file", "service-accounts.key"),
    ] {
        argv.push(format!("--{flag}={}", pki(file)));
    }
    Unit::new("kube-apiserver", argv)
}

/// The controllers.
pub fn controller_manager() -> Unit {
    Unit::new(
        "kube-controller-manager",
        [
            "kube-controller-manager".to_owned(),
            format!("--kubeconfig={}", pki("kube-controller-manager.conf")),
            "--use-service-account-credentials=true".into(),
            format!(
                "--service-account-private-key-file={}",
                pki("service-accounts.key")
            ),
            format!("--root-ca-file={}", pki("ca.crt")),
            format!("--cluster-cidr={POD_CIDR}"),
            // The nodes' CNI configuration says which pods are whose.
            "--allocate-node-cidrs=false".into(),
            format!("--service-cluster-ip-range={SERVICE_CIDR}"),
            // The default folder would be made in the machine's /usr.
            "--flex-volume-plugin-dir=/var/lib/kubelet/volumeplugins".into(),
            "--leader-elect=false".into(),
            "--bind-address=127.0.0.1".into(),
        ],
    )
}

/// The scheduler.
pub fn scheduler() -> Unit {
    Unit::new(
        "kube-scheduler",
        [
            "kube-scheduler".to_owned(),
            format!("--kubeconfig={}", pki("kube-scheduler.conf")),
            "--leader-elect=false".into(),
            "--bind-address=127.0.0.1".into(),
        ],
    )
}

/// The node's container runtime.
pub fn containerd() -> Unit {
    Unit::new(
        "containerd",
        ["containerd", "--config=/etc/containerd/lab.toml"],
    )
}

/// The node's agent.
pub fn kubelet(node: Host) -> Unit {
    Unit::new(
        "kubelet",
        [
            "kubelet".to_owned(),
            "--config=/etc/kubernetes/kubelet.json".into(),
            format!("--kubeconfig={}", pki(&format!("kubelet-{node}.conf"))),
            format!("--hostname-override={node}"),
            format!("--node-ip={}", node.address()),
        ],
    )
}

/// The node's Services.
pub fn proxy(node: Host) -> Unit {
    Unit::new(
        "kube-proxy",
        [
            "kube-proxy".to_owned(),
            format!("--kubeconfig={}", pki("kube-proxy.conf")),
            format!("--hostname-override={node}"),
            "--proxy-mode=iptables".into(),
            format!("--cluster-cidr={POD_CIDR}"),
            // The limit of the machine is not the node's to set.
            "--conntrack-max-per-core=0".into(),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::DNS_SERVICE;
    use serde_json::Value;

    #[test]
    fn every_unit_is_told_its_kubeconfig_by_a_file_that_the_pki_writes() {
        for unit in [
            controller_manager(),
            scheduler(),
            kubelet(Host::Node2),
            proxy(Host::Node1),
        ] {
            let config = unit
                .argv
                .iter()
                .find_map(|arg| arg.strip_prefix("--kubeconfig="));
            assert!(
                config.is_some_and(|file| file.starts_with("/var/lib/extconn-lab/pki/")),
                "{unit:?}"
            );
        }
    }

    #[test]
    fn the_manifest_of_the_dns_uses_the_image_and_address_of_the_lab() {
        assert!(DNS_MANIFEST.contains(DNS_IMAGE));
        assert!(DNS_MANIFEST.contains(&DNS_SERVICE.to_string()));
    }

    #[test]
    fn a_kubeconfig_points_at_the_api_server() {
        let text = kubeconfig(Path::new("/keys"), "admin").unwrap();
        let config: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(config["clusters"][0]["cluster"]["server"], API_SERVER);
        assert_eq!(config["users"][0]["user"]["client-key"], "/keys/admin.key");
    }
}
