//! When pods became ready, as somebody hears it who watches them.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use extconn_lab::host;
use extconn_lab::topology::Host;

/// Longest wait for what has happened to be heard.
const HEARD_WITHIN: Duration = Duration::from_secs(5);

/// Watches all pods with a label until it is dropped.
pub struct ReadyPods {
    kubectl: Child,
    since: Arc<Mutex<HashMap<String, SystemTime>>>,
}

impl ReadyPods {
    /// Begins; of pods that are there already nothing is heard.
    pub fn watch(label: &str) -> Result<Self> {
        let columns = "-o=jsonpath={.metadata.uid} \
                       {.status.conditions[?(@.type==\"Ready\")].status}{\"\\n\"}";
        let selector = format!("--selector={label}");
        let get = ["kubectl", "get", "pods", "--all-namespaces", "--watch-only"];
        // It ends with its standard input, so also with this program.
        let until_closed = ["bash", "-c", "\"$@\" & read; kill $!", "bash"];
        let argv = [&until_closed[..], &get, &[&selector, columns]].concat();
        let mut kubectl = host::command(Host::Workstation, &argv)?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("run kubectl")?;
        let lines = BufReader::new(kubectl.stdout.take().context("no output")?).lines();
        let since = Arc::new(Mutex::new(HashMap::new()));
        let heard = Arc::clone(&since);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some(uid) = line.strip_suffix(" True") {
                    let mut since = heard.lock().unwrap();
                    since.entry(uid.to_owned()).or_insert_with(SystemTime::now);
                }
            }
        });
        Ok(Self { kubectl, since })
    }

    /// How long before `moment` the pod of this UID was ready; nothing if it was not yet.
    pub fn before(&self, uid: &str, moment: SystemTime) -> Result<Duration> {
        let begin = Instant::now();
        loop {
            let ready = self.since.lock().unwrap().get(uid).copied();
            if let Some(ready) = ready {
                return Ok(moment.duration_since(ready).unwrap_or_default());
            }
            ensure!(
                begin.elapsed() < HEARD_WITHIN,
                "nobody has said that pod {uid} is ready"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for ReadyPods {
    fn drop(&mut self) {
        drop(self.kubectl.stdin.take());
        self.kubectl.wait().ok();
    }
}
