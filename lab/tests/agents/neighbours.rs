//! The gateway host's neighbours.

use extconn_lab::topology::{GATEWAY, Host, SOURCE_IPS};
use extconn_lab::walkthrough::ask;
use serde_json::{Value, json};

use crate::world::{on_gateway, until};

/// An address of the premises that nobody else has, for the gateway to assign.
const SPARE: &str = "192.168.122.202";

#[test]
#[ignore = "needs a lab with extconn in it: make installation"]
fn neighbours_learn_at_once_that_a_source_ip_has_moved_here() {
    let neighbour = |line: &str| {
        let said = ask::host(Host::Third, &["sh", "-c", line]).unwrap();
        assert!(said.success, "{line}: {}", said.stderr);
        said.stdout
    };
    // Its former owner, as the third host remembers it.
    neighbour(&format!(
        "ip neighbour replace {SPARE} lladdr 02:00:00:00:00:99 dev eth0 nud reachable"
    ));
    install_allowing(json!([{"ip": SPARE, "assignTo": "eth0"}]));
    let mac = on_gateway("cat /sys/class/net/eth0/address");
    until(|| {
        let entry = neighbour(&format!("ip neighbour show {SPARE} dev eth0"));
        entry.contains(mac.trim()).then_some(()).ok_or(entry)
    });
    let granted = "systemctl show --property=AmbientCapabilities --value extconn-gateway";
    assert!(on_gateway(granted).contains("cap_net_raw"));
    install_allowing(json!([]));
    assert!(
        !on_gateway("ip address").contains(SPARE),
        "it was not taken off"
    );
    assert!(!on_gateway(granted).contains("cap_net_raw"));
}

/// Runs install.sh again, as an administrator who allows other source IPs than before.
fn install_allowing(more: Value) {
    let mut source_ips: Vec<Value> = SOURCE_IPS.map(|ip| json!({"ip": ip})).into();
    source_ips.extend(more.as_array().cloned().unwrap_or_default());
    let host = json!({"sshEndpoint": format!("{GATEWAY}:2022"), "sourceIPs": source_ips});
    let script = include_str!("../../../gateway/install.sh");
    on_gateway(&format!(
        "set -e; cd $(mktemp -d); mkdir systemd; \
         cp /etc/systemd/system/extconn-gateway.service systemd/; \
         cp /etc/sysusers.d/extconn.conf systemd/sysusers.conf; \
         cat >host.yaml <<'HOST'\n{host}\nHOST\n\
         cat >install.sh <<'INSTALL'\n{script}\nINSTALL\n\
         sh install.sh --binary /usr/local/bin/extconn-gateway --host-file host.yaml \
         --kubeconfig /etc/extconn/kubeconfig --token /var/lib/extconn/token"
    ));
}
