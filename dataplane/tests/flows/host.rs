//! A host of its own: a network namespace without a name, with one thread and one runtime in it. It
//! is gone with its thread, also when a test panics.

use std::ffi::OsStr;
use std::process::Command;
use std::sync::mpsc;

use nix::sched::{CloneFlags, unshare};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A host of its own.
pub struct Host {
    handle: Handle,
    namespace: String,
    _stop_tx: oneshot::Sender<()>,
}

impl Host {
    /// Starts a host whose only interface is a loopback.
    pub fn start(name: &'static str) -> Self {
        let (started_tx, started) = mpsc::channel();
        let (stop_tx, stop_rx) = oneshot::channel::<()>();
        let run = move || {
            unshare(CloneFlags::CLONE_NEWNET).expect("network tests need root");
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            let namespace = format!("/proc/{}/ns/net", nix::unistd::gettid());
            started_tx
                .send((runtime.handle().clone(), namespace))
                .unwrap();
            // Ends, and everything on this host with it, when the host is dropped.
            let _ = runtime.block_on(stop_rx);
        };
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(run)
            .unwrap();
        let (handle, namespace) = started.recv().expect("network tests need root");
        let host = Self {
            handle,
            namespace,
            _stop_tx: stop_tx,
        };
        host.ip("link set lo up");
        host
    }

    /// Runs `ip` on this host.
    pub fn ip(&self, arguments: &str) {
        self.command("ip", arguments);
    }

    /// Runs a program on this host; what it wrote.
    pub fn command(&self, program: &str, arguments: &str) -> String {
        let output = self
            .program(program)
            .args(arguments.split_whitespace())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{program} {arguments}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// A program on this host, to be run.
    pub fn program(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", self.namespace))
            .arg(program);
        command
    }

    /// A cable to another host: `ours` is the interface here and `theirs` the one there.
    pub fn connect(&self, ours: &str, other: &Host, theirs: &str) {
        let peer = &other.namespace;
        self.ip(&format!(
            "link add {ours} type veth peer name {theirs} netns {peer}"
        ));
        self.ip(&format!("link set {ours} up"));
        other.ip(&format!("link set {theirs} up"));
    }

    /// Runs something on this host to its end.
    pub async fn run<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> T {
        self.spawn(future).await.unwrap()
    }

    /// Runs something on this host beside others.
    pub fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.handle.spawn(future)
    }
}
