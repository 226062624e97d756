//! A pod as its node sees it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use extconn_lab::host;
use extconn_lab::topology::Host;
use extconn_lab::walkthrough::scenario::Source;
use extconn_lab::walkthrough::{Scenario, access, ask, scenario};

/// A pod of a scenario as its node sees it: no API server is needed to be in it.
pub struct Pod {
    node: Host,
    network: String,
    server: String,
}

impl Pod {
    /// A pod behind the Service of a source.
    pub fn of(scenario: &Scenario, source: &Source, name: &str, node: Host) -> Self {
        let ip = ask::cluster_ok(
            &[
                "get",
                "pod",
                "-n",
                &source.namespace,
                name,
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
        let found = ask::host(node, &["sh", "-c", &find]).unwrap();
        assert!(found.success, "{ip} is in no network of {node}");
        Self {
            node,
            network: format!("--net={}", found.stdout.trim()),
            server: service.unwrap(),
        }
    }

    /// How many connections of it stand.
    pub fn connections(&self) -> usize {
        let argv = [
            "nsenter",
            &self.network,
            "ss",
            "-Htn",
            "state",
            "established",
        ];
        let said = ask::host(self.node, &argv).unwrap();
        assert!(said.success, "{}", said.stderr);
        said.stdout.lines().count()
    }

    /// One request over a new connection.
    pub fn asks(&self) -> Result<(), String> {
        let url = format!("http://{}:8000/{}", self.server, access::unique_word());
        let argv = ["nsenter", &self.network, "witness", "get", &url];
        let said = ask::host(self.node, &argv).unwrap();
        said.success.then_some(()).ok_or(said.stderr)
    }

    /// A connection that stays.
    pub fn connects(&self) -> Connection {
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

/// A connection to the external server; the pod's end is closed when it is dropped.
pub struct Connection {
    child: Child,
    words: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Connection {
    /// One more request over the same connection; whom the external server saw.
    pub fn asks(&mut self) -> String {
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
