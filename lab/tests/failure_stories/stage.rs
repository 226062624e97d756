//! What the stories are told with.

use extconn_lab::topology::{GATEWAY, Host, SOURCE_IPS};
use extconn_lab::{exec, gateway};

/// The plugin's documented exit statuses.
pub const FAILED: i32 = 1;
pub const USAGE: i32 = 2;
pub const COULD_NOT_RUN: i32 = 3;
pub const INTERRUPTED: i32 = 130;

/// How a run of the plugin ended.
#[derive(Clone, Debug)]
pub struct Told {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a command on the workstation.
pub fn workstation(argv: &[&str]) -> Told {
    let output = exec(Host::Workstation, argv).expect("the lab is up");
    Told {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The gateway host as its administrator logs in.
pub fn root_at_gateway() -> String {
    format!("--gateway=root@{GATEWAY}")
}

/// Flags that offer both source IPs.
pub fn source_ips() -> Vec<String> {
    SOURCE_IPS
        .map(|ip| format!("--source-ip={ip}"))
        .into_iter()
        .collect()
}

/// `kubectl extconn init --yes` with these flags, on a gateway host that has them all already.
pub fn init(flags: &[&str]) -> Told {
    init_under(&[], flags)
}

/// As [`init`], with words in front of the command: `env PATH=…`.
pub fn init_under(front: &[&str], flags: &[&str]) -> Told {
    let (gateway, ips) = (root_at_gateway(), source_ips());
    let mut argv = front.to_vec();
    argv.extend(["kubectl", "extconn", "init", "--yes"]);
    let given = |flag: &str| flags.iter().any(|given| given.starts_with(flag));
    if !given("--gateway") {
        argv.push(&gateway);
    }
    if !given("--source-ip") {
        argv.extend(ips.iter().map(String::as_str));
    }
    argv.extend(flags);
    workstation(&argv)
}

impl Told {
    /// Ended with `status`, in a sentence that has these words, and a next step that has those.
    pub fn fails(&self, status: i32, cause: &str, next: &str) {
        assert_eq!(self.status, status, "{self:#?}");
        let line = |begin: &str| {
            let mut lines = self.stderr.lines().rev();
            lines.find_map(|line| line.strip_prefix(begin).map(str::to_owned))
        };
        let error = line("error: ").unwrap_or_else(|| panic!("no error: {self:#?}"));
        assert!(error.contains(cause), "{cause:?} is not in {error:?}");
        let step = line("next: ").unwrap_or_else(|| panic!("no next step: {self:#?}"));
        assert!(step.contains(next), "{next:?} is not in {step:?}");
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
    }

    /// Went well.
    pub fn succeeds(self) -> Self {
        assert_eq!(self.status, 0, "{self:#?}");
        self
    }

    /// Went well and found nothing to do.
    pub fn changes_nothing(&self) {
        assert_eq!(self.status, 0, "{self:#?}");
        assert!(
            self.stderr.contains("everything is in place already"),
            "{self:#?}"
        );
    }
}

/// Flags that keep the images of operator and forwarder as they are when extconn is installed anew.
pub fn image_tags() -> [String; 2] {
    let values = workstation(&["helm", "get", "values", "extconn", "-o", "json"]).succeeds();
    let values: serde_json::Value = serde_json::from_str(&values.stdout).expect("helm writes JSON");
    ["operator", "forwarder"].map(|component| {
        let tag = values[component]["image"]["tag"].as_str();
        let tag = tag.expect("the lab names each image's tag");
        format!("--set={component}.image.tag={tag}")
    })
}

/// A story of `init` that touches nothing: the gateway host is the same afterwards.
pub fn touching_nothing(story: impl FnOnce()) {
    let before = gateway::fingerprint(Host::Gateway).expect("the gateway host answers");
    story();
    let after = gateway::fingerprint(Host::Gateway).expect("the gateway host answers");
    assert_eq!(before, after, "the gateway host has changed");
}

/// A change of a host that is undone when it is dropped.
pub struct Change {
    host: Host,
    undo: String,
}

impl Change {
    /// Runs a shell line on a host, and `undo` at the end.
    pub fn of(host: Host, line: &str, undo: &str) -> Self {
        let change = Self {
            host,
            undo: undo.to_owned(),
        };
        shell(host, line);
        change
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        let done = exec(self.host, &["sh", "-c", &self.undo]);
        let done = done.is_ok_and(|output| output.status.success());
        assert!(done || std::thread::panicking(), "failed: {}", self.undo);
    }
}

/// Runs a shell line on a host; what it prints.
pub fn shell(host: Host, line: &str) -> String {
    let output = exec(host, &["sh", "-c", line]).expect("the lab is up");
    assert!(
        output.status.success(),
        "{line}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
