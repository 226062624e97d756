//! The gateway host: its ssh port, its addresses, its neighbours.

use extconn_lab::topology::{GATEWAY, Host, SOURCE_IPS};
use extconn_lab::walkthrough::{ask, egress};
use serde_json::{Value, json};

use crate::world::{
    gateway_says, in_scenario, of_external_service, of_gateway, on_gateway, restarts, until,
    until_carries, until_says,
};

/// An address of the premises that nobody else has, for the gateway to assign.
const SPARE: &str = "192.168.122.202";

#[test]
#[ignore = "needs a lab with extconn in it: make installation"]
fn a_taken_ssh_port_is_a_condition_and_is_taken_over_when_it_is_free() {
    in_scenario("port", |scenario| {
        on_gateway("systemctl stop extconn-gateway");
        let squatter = Squatter::start();
        on_gateway(
            "for i in $(seq 100); do ss -ltn | grep -q :2022 && exit 0; sleep 0.1; done; exit 1",
        );
        on_gateway("systemctl start --no-block extconn-gateway");
        let says = ["0.0.0.0:2022", "in use", "sshListen"];
        until_says(
            || of_gateway(scenario, "Programmed"),
            "False NotListening: ",
            &says,
        );
        until_says(
            || of_external_service(scenario, "Programmed"),
            "False GatewayNotProgrammed: ",
            &says,
        );
        until_says(
            || gateway_says("/readyz"),
            "HTTP/1.0 503",
            &["0.0.0.0:2022"],
        );
        drop(squatter);
        until_says(|| of_gateway(scenario, "Programmed"), "True ", &[]);
        until_says(|| of_external_service(scenario, "Ready"), "True ", &[]);
        until_carries(scenario);
        assert_eq!(restarts().trim(), "0", "it went down over the port");
        Ok(())
    });
}

#[test]
#[ignore = "needs a lab with extconn in it: make installation"]
fn a_source_ip_that_leaves_the_host_is_named_and_nothing_leaves_from_another() {
    in_scenario("address", |scenario| {
        let source = &scenario.sources[0];
        let address = format!("{}/24", source.source_ip);
        on_gateway(&format!("ip address del {address} dev eth0"));
        until_says(
            || of_gateway(scenario, "AddressAssigned"),
            "False AddressMissing: ",
            &[&source.source_ip.to_string(), "host gateway", "assignTo"],
        );
        let tried = egress::from_source(scenario, source)?;
        assert!(
            !tried.holds && tried.seen.ends_with("saw nobody"),
            "{}",
            tried.seen
        );
        on_gateway(&format!("ip address add {address} dev eth0"));
        until_says(
            || of_gateway(scenario, "AddressAssigned"),
            "True Assigned: ",
            &[],
        );
        until_carries(scenario);
        Ok(())
    });
}

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

/// An sshd on the gateway's port, for as long as this lives.
struct Squatter;

impl Squatter {
    fn start() -> Self {
        on_gateway(
            "mkdir -p /run/sshd && systemd-run --quiet --unit=squatter --collect \
             /usr/sbin/sshd -D -p 2022 -o PidFile=none",
        );
        Self
    }
}

impl Drop for Squatter {
    fn drop(&mut self) {
        on_gateway("systemctl stop squatter");
    }
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
