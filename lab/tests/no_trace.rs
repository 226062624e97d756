//! `down` leaves nothing, whatever happened to the lab before.
//!
//! These take the machine's lab down and bring it up several times, so they
//! run on request only, one after the other:
//! `cargo test -p extconn-lab --test no_trace -- --ignored --test-threads=1`

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use extconn_lab::process::Process;
use extconn_lab::{Host, cgroup, host};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn lab(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_extconn-lab"))
        .args(args)
        .output()
        .unwrap()
}

fn succeed(args: &[&str]) -> String {
    let output = lab(args);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "extconn-lab {args:?}: {said}");
    said
}

/// What the lab could leave behind, one line for each thing.
fn machine() -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    let mut add = |kind: &str, text: &str| {
        lines.extend(text.lines().map(|line| format!("{kind}: {line}")));
    };
    add("mount", &fs::read_to_string("/proc/mounts").unwrap());
    for (kind, command) in [
        ("rule", "iptables-save; ip6tables-save"),
        ("link", "ip -brief link; ip -brief address; ip route"),
        ("namespace", "ip netns list; ls /run/netns"),
        (
            "cgroup",
            "find /sys/fs/cgroup -type d -name '*extconn*'; ls /sys/fs/cgroup/*",
        ),
        // Places in which programs of the lab are known to make folders.
        (
            "file",
            "ls -d /etc/* /opt/* /run/* /var/lib/* /var/log/* /usr/libexec/*",
        ),
        (
            "home",
            "ls -d /root/.[a-z]* /root/.config/* /root/.cache/* /root/.local/*",
        ),
        (
            "setting",
            "grep -rs . /proc/sys/vm /proc/sys/kernel/panic* /proc/sys/kernel/keys",
        ),
        (
            "setting",
            "grep -rs . /proc/sys/net/ipv4 /proc/sys/net/bridge /proc/sys/net/netfilter",
        ),
    ] {
        let output = Command::new("sh").args(["-c", command]).output().unwrap();
        add(kind, &String::from_utf8_lossy(&output.stdout));
    }
    // Comments with the time, counters, and what moves by itself.
    lines.retain(|line| {
        !["rule: #", "rule: :", "count:", "_count", "stat_refresh"]
            .iter()
            .any(|noise| line.contains(noise))
    });
    lines
}

fn assert_unchanged(before: &BTreeSet<String>) {
    let after = machine();
    let left: Vec<_> = after.difference(before).collect();
    let lost: Vec<_> = before.difference(&after).collect();
    assert!(
        left.is_empty() && lost.is_empty(),
        "left {left:#?}, lost {lost:#?}"
    );
    assert_eq!(cgroup::processes().unwrap(), BTreeSet::new());
    assert!(!Path::new("/var/lib/extconn-lab").exists());
    assert_eq!(processes_of_the_lab(), Vec::<String>::new());
}

/// Command lines that name the lab's state or its cache.
fn processes_of_the_lab() -> Vec<String> {
    let own = std::process::id().to_string();
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name() != own.as_str())
        .filter_map(|entry| fs::read_to_string(entry.path().join("cmdline")).ok())
        .filter(|line| {
            line.contains("/var/lib/extconn-lab")
                || line.contains("extconn-lab\0host-")
                || line.contains("--machine=gateway")
        })
        .collect()
}

fn start_up() -> Child {
    Command::new(env!("CARGO_BIN_EXE_extconn-lab"))
        .arg("up")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn kill_hard(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
#[ignore = "takes the machine's lab down"]
fn the_machine_is_after_down_as_it_was_before_up() {
    succeed(&["down"]);
    let before = machine();
    succeed(&["up"]);
    assert!(succeed(&["up"]).contains("nothing to do"));
    succeed(&["down"]);
    assert_unchanged(&before);
    assert!(succeed(&["down"]).contains("nothing to do"));
}

#[test]
#[ignore = "takes the machine's lab down"]
fn an_up_that_is_killed_half_way_leaves_nothing_that_down_does_not_find() {
    succeed(&["down"]);
    let before = machine();
    // Each of these is a moment of its own: no host, one host, all of them,
    // an API server that starts, pods that run.
    type Came = fn() -> bool;
    let moments: [(&str, Came); 5] = [
        ("the first group", || !cgroup::folders().unwrap().is_empty()),
        ("the first host", || host::process(Host::Router).is_some()),
        ("every host", || {
            Host::ALL.into_iter().all(|host| host::units(host).is_ok())
        }),
        ("the API server", || {
            is_running(Host::Node1, "kube-apiserver")
        }),
        ("kubelet", || is_running(Host::Node2, "kubelet")),
    ];
    for (moment, came) in moments {
        let mut up = start_up();
        wait_until(moment, came);
        kill_hard(&mut up);
        succeed(&["down"]);
        eprintln!("killed at {moment}");
        assert_unchanged(&before);
    }
}

fn is_running(host: Host, unit: &str) -> bool {
    host::units(host).is_ok_and(|units| {
        units
            .iter()
            .any(|state| state.name == unit && state.pid.is_some())
    })
}

#[test]
#[ignore = "takes the machine's lab down"]
fn both_up_and_down_cope_with_a_lab_whose_processes_were_all_killed() {
    succeed(&["down"]);
    let before = machine();
    succeed(&["up"]);
    kill_everything();
    let said = succeed(&["up"]);
    assert!(said.contains("clear away an earlier lab"), "{said}");
    assert!(lab(&["kubectl", "get", "nodes"]).status.success());
    kill_everything();
    succeed(&["down"]);
    assert_unchanged(&before);
}

/// As an out-of-memory killer without mercy, or the end of a container.
fn kill_everything() {
    wait_until("the last process's end", || {
        let left = cgroup::processes().unwrap();
        for pid in &left {
            kill(Pid::from_raw(*pid), Signal::SIGKILL).ok();
        }
        left.is_empty()
    });
}

#[test]
#[ignore = "takes the machine's lab down"]
fn down_does_not_touch_a_stranger_who_got_a_recorded_pid() {
    succeed(&["down"]);
    let before = machine();
    succeed(&["up"]);
    let mut stranger = Command::new("sleep").arg("600").spawn().unwrap();
    let pid = i32::try_from(stranger.id()).unwrap();
    // The stranger's pid, with the start time of the host's first process.
    let record = extconn_lab::paths::host_process(Host::Third);
    let text = fs::read_to_string(&record).unwrap();
    let (_, start) = text.split_once(' ').unwrap();
    fs::write(&record, format!("{pid} {start}")).unwrap();
    assert!(!lab(&["exec", "third", "--", "true"]).status.success());
    succeed(&["down"]);
    assert!(
        Process::find(pid).unwrap().is_some(),
        "the stranger was killed"
    );
    kill_hard(&mut stranger);
    assert_unchanged(&before);
}

#[test]
#[ignore = "takes the machine's lab down"]
fn a_command_in_a_host_passes_its_exit_code_and_dies_with_the_host() {
    succeed(&["up"]);
    for host in Host::ALL {
        let output = lab(&["exec", host.name(), "--", "sh", "-c", "hostname; exit 7"]);
        assert_eq!(output.status.code(), Some(7), "{host}");
        assert_eq!(output.stdout, format!("{host}\n").into_bytes());
    }
    let mut sleeper = Command::new(env!("CARGO_BIN_EXE_extconn-lab"))
        .args(["exec", "external", "--", "sleep", "600"])
        .spawn()
        .unwrap();
    succeed(&["down"]);
    wait_until("the sleeper's end", || {
        sleeper.try_wait().unwrap().is_some()
    });
}
