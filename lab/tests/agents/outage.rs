//! The API server is away: what is set up goes on, for old connections and new ones, and a gateway
//! that starts meanwhile serves what it served last.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use extconn_lab::host;
use extconn_lab::topology::Host;
use extconn_lab::walkthrough::{Scenario, access, ask, scenario};

use crate::api_server::Outage;
use crate::world::{
    gateway_metric, gateway_says, in_scenario, of_external_service, on_gateway, until,
    until_carries, until_says,
};

/// A pod of the scenario as its node sees it: no API server is needed to be in it.
struct Pod {
    node: Host,
    network: String,
    server: String,
}

impl Pod {
    fn of_first_source(scenario: &Scenario) -> Self {
        let source = &scenario.sources[0];
        let ip = ask::cluster_ok(
            &[
                "get",
                "pod",
                "-n",
                &source.namespace,
                &source.pod,
                "-o=jsonpath={.status.podIP}",
            ],
            "",
        );
        let service = ask::cluster_ok(
            &[
                "get",
                "service",
                "-n",
                scenario::CONNECTOR_NAMESPACE,
                &scenario.name,
                "-o=jsonpath={.spec.clusterIP}",
            ],
            "",
        );
        let ip = ip.unwrap();
        let find = format!(
            "for n in /run/netns/*; do nsenter --net=$n ip -4 -o address | grep -q ' {ip}/' && \
             echo $n && exit 0; done; exit 1"
        );
        let found = ask::host(source.node, &["sh", "-c", &find]).unwrap();
        assert!(found.success, "{ip} is in no network of {}", source.node);
        Self {
            node: source.node,
            network: format!("--net={}", found.stdout.trim()),
            server: service.unwrap(),
        }
    }

    /// One request over a new connection.
    fn asks(&self) -> Result<(), String> {
        let url = format!("http://{}:8000/{}", self.server, access::unique_word());
        let argv = ["nsenter", &self.network, "witness", "get", &url];
        let said = ask::host(self.node, &argv).unwrap();
        said.success.then_some(()).ok_or(said.stderr)
    }

    /// A connection that stays.
    fn connects(&self) -> Connection {
        let script = format!(
            "exec 3<>/dev/tcp/{}/8000; while read word; do \
             printf 'GET /%s HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n' $word >&3; \
             while IFS= read -r line <&3; do case $line in 'This is'*) echo \"$line\"; break;; esac; \
             done; done",
            self.server
        );
        let argv = ["nsenter", &self.network, "bash", "-c", &script];
        let mut command = host::command(self.node, &argv).unwrap();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Connection {
            words: child.stdin.take().unwrap(),
            answers: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }
}

struct Connection {
    child: Child,
    words: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Connection {
    /// One more request over the same connection; whom the external server saw.
    fn asks(&mut self) -> String {
        writeln!(self.words, "{}", access::unique_word()).unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        answer
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
#[ignore = "needs a lab with extconn in it: make installation"]
fn traffic_goes_on_without_the_api_server_and_through_a_restart_of_the_gateway() {
    in_scenario("outage", |scenario| {
        let pod = Pod::of_first_source(scenario);
        let source_ip = scenario.sources[0].source_ip.to_string();
        let mut old = pod.connects();
        assert!(old.asks().contains(&source_ip));

        let outage = Outage::begin(scenario);
        let says = ["ok, but the Kubernetes API does not answer"];
        until_says(|| gateway_says("/readyz"), "HTTP/1.0 200", &says);
        assert!(old.asks().contains(&source_ip), "an old connection broke");
        pod.asks().unwrap();

        drop(old);
        on_gateway("systemctl restart extconn-gateway");
        until(|| pod.asks());
        assert_eq!(gateway_metric("extconn_gateway_api_view "), Some(0.0));
        let mut newer = pod.connects();
        assert!(newer.asks().contains(&source_ip));

        drop(outage);
        until(|| match gateway_metric("extconn_gateway_api_view ") {
            Some(view) if view > 0.0 => Ok(()),
            view => Err(format!("{view:?}")),
        });
        assert!(
            newer.asks().contains(&source_ip),
            "the API's return broke a connection"
        );
        until_says(|| of_external_service(scenario, "Ready"), "True ", &[]);
        until_carries(scenario);
        Ok(())
    });
}
