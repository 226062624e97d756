//! Pure: the configuration files of a node.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{CONTAINERD_SOCKET, PAUSE_IMAGE, pki};
use crate::cgroup;
use crate::topology::{DNS_SERVICE, Host};

/// The files that a node's units read: path and text.
pub fn node_files(node: Host) -> Result<Vec<(&'static str, String)>> {
    let pretty =
        |value: Value| serde_json::to_string_pretty(&value).context("write a configuration");
    Ok(vec![
        ("/etc/containerd/lab.toml", containerd_config()),
        (
            "/etc/kubernetes/kubelet.json",
            pretty(kubelet_config(node))?,
        ),
        (
            "/etc/kubernetes/resolv.conf",
            "# no name server outside the cluster\n".into(),
        ),
        ("/etc/cni/net.d/10-lab.conflist", pretty(cni_config(node))?),
    ])
}

fn containerd_config() -> String {
    format!(
        r#"version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.internal.v1.opt",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]

[grpc]
address = "{CONTAINERD_SOCKET}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
# Without CAP_SYS_RESOURCE a score below our own is refused and runc dies.
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "/etc/cni/net.d"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
"#
    )
}

fn kubelet_config(node: Host) -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": pki("ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": pki(&format!("kubelet-{node}.crt")),
        "tlsPrivateKeyFile": pki(&format!("kubelet-{node}.key")),
        "containerRuntimeEndpoint": format!("unix://{CONTAINERD_SOCKET}"),
        "clusterDomain": "cluster.local",
        "clusterDNS": [DNS_SERVICE.to_string()],
        "resolvConf": "/etc/kubernetes/resolv.conf",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{}/{node}", cgroup::ROOT),
        // Kubernetes 1.35 and later refuse version 1 unless told.
        "failCgroupV1": false,
        "failSwapOn": false,
        "oomScoreAdj": 0,
        "serializeImagePulls": false,
        "volumePluginDir": "/var/lib/kubelet/volumeplugins",
        // The machine's disk is not the lab's to judge.
        "evictionHard": {
            "imagefs.available": "0%",
            "imagefs.inodesFree": "0%",
            "nodefs.available": "0%",
            "nodefs.inodesFree": "0%",
            "memory.available": "100Mi",
        },
    })
}

fn cni_config(node: Host) -> Value {
    json!({
        "cniVersion": "1.0.0",
        "name": "lab",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "pods",
                "isDefaultGateway": true,
                "hairpinMode": true,
                // Masquerading here would hide pods from each other.
                "ipMasq": false,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": node.pod_cidr()}]],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_differ_in_their_pods_and_cgroups() {
        let files = |node| node_files(node).unwrap();
        for (one, two) in files(Host::Node1).iter().zip(files(Host::Node2).iter()) {
            let shared =
                ["/etc/containerd/lab.toml", "/etc/kubernetes/resolv.conf"].contains(&one.0);
            assert_eq!(one.1 == two.1, shared, "{}", one.0);
        }
    }
}
