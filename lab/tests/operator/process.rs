//! An operator as it is shipped, run as a process of the test's.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use extconn_lab::contained::contained;
use extconn_lab::progress::Progress;
use extconn_lab::{installation, supply};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::door::Door;
use crate::world::{CONNECTOR, World, until};

pub struct Operator {
    child: Child,
    log: PathBuf,
}

impl Operator {
    /// Starts one that reaches the API server through `door`. `identity`: its name in the Lease.
    pub fn start(world: &World, door: &Door, identity: &str) -> Operator {
        Self::start_logging(world, door, identity, "info")
    }

    pub fn start_logging(world: &World, door: &Door, identity: &str, filter: &str) -> Operator {
        let folder = world.plane.folder();
        let log = folder.join(format!("{identity}.log"));
        let output = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let child = Command::new(installation::program("extconn-operator").unwrap())
            .arg("run")
            .env_clear()
            .env("KUBECONFIG", kubeconfig(world, door))
            .env("CONNECTOR_NAMESPACE", CONNECTOR)
            .env("POD_NAME", identity)
            .env("HTTP_LISTEN", "127.0.0.1:0")
            .env("FORWARDER_IMAGE", "localhost/extconn-forwarder:test")
            .env("RUST_LOG", filter)
            .env("LOG_FORMAT", "json")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output)
            .spawn()
            .unwrap();
        Operator { child, log }
    }

    /// Runs `extconn-operator cleanup`, as uninstalling the chart does.
    pub async fn clean_up(world: &World, door: &Door) {
        let mut child = Command::new(installation::program("extconn-operator").unwrap())
            .arg("cleanup")
            .env_clear()
            .env("KUBECONFIG", kubeconfig(world, door))
            .env("CONNECTOR_NAMESPACE", CONNECTOR)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let limit = Duration::from_secs(60);
        let ended = async || child.try_wait().unwrap();
        assert!(until("all is cleaned up", limit, ended).await.success());
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end.
    pub async fn wait(&mut self, limit: Duration) -> ExitStatus {
        let begin = Instant::now();
        until("the operator has ended", 2 * limit, async || {
            assert!(begin.elapsed() < limit, "not ended: {}", self.said());
            self.ended()
        })
        .await
    }

    /// Tells it to stop, as the kubelet does, and waits for its end.
    pub async fn stop(mut self) -> ExitStatus {
        kill(Pid::from_raw(self.pid()), Signal::SIGTERM).unwrap();
        self.wait(Duration::from_secs(20)).await
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// What it, and others of its identity before it, has logged: the lines that can be read.
    pub fn logged(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.log).unwrap();
        let lines = text.lines();
        lines
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// All that was written to standard error, also what is no log line.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Peak and present resident memory in KiB.
    pub fn memory(&self) -> (u64, u64) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        (field("VmHWM:"), field("VmRSS:"))
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// One controller of the controller manager, for tests that need what it does.
pub struct Controller(Child);

impl Controller {
    /// Starts the controller of this name.
    pub fn start(world: &World, controller: &str) -> Self {
        let name = "kube-controller-manager";
        let folder = world.plane.folder();
        // The program looks at its own name.
        let program = folder.join(name);
        symlink(supply::program(&Progress::new(), name).unwrap(), &program).unwrap();
        let log = File::create(folder.join(format!("{name}.log"))).unwrap();
        let kubeconfig = world.plane.kubeconfig();
        let child = contained(program)
            .arg(format!("--kubeconfig={}", kubeconfig.display()))
            .arg(format!("--controllers={controller}"))
            .args(["--leader-elect=false", "--secure-port=0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A file that leads through the door.
fn kubeconfig(world: &World, door: &Door) -> PathBuf {
    let folder = world.plane.folder();
    let kubeconfig = folder.join(format!("kubeconfig-{}", door.address.port()));
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "door",
        "clusters": [{"name": "door", "cluster": {"server": format!("http://{}", door.address)}}],
        "users": [{"name": "door", "user": {}}],
        "contexts": [{"name": "door", "context": {"cluster": "door", "user": "door"}}],
    });
    fs::write(&kubeconfig, config.to_string()).unwrap();
    kubeconfig
}
