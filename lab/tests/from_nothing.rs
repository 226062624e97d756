//! From a bare cluster and a bare gateway host to a proven source IP, answering questions only, and
//! back to bare: `make from-nothing`. Needs a lab that is up with nothing of extconn in it. Prints
//! what stood on the terminal, and how long it took.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use extconn_lab::progress::Progress;
use extconn_lab::terminal::{Key, Terminal};
use extconn_lab::topology::{EXTERNAL, EXTERNAL_PORT, GATEWAY, Host, SOURCE_IPS};
use extconn_lab::walkthrough::{Scenario, ask, leftovers, workload};
use extconn_lab::{AccessLog, gateway, installation};

/// From the first key to the proof, on a lab whose images are there.
const LIMIT: Duration = Duration::from_secs(120);

/// Columns of the README.
const COLUMNS: u16 = 100;

/// What the user does when these words are on the screen.
enum Answer {
    Types(String),
    Enters,
    ChoosesSecond,
}

use Answer::{ChoosesSecond, Enters, Types};

#[test]
#[ignore = "needs a bare lab: make from-nothing"]
fn from_nothing_to_a_proven_source_ip_and_back_by_answering_questions() {
    installation::provide(&Progress::new()).unwrap();
    let scenario = Scenario::reference();
    workload::create(&scenario).unwrap();
    let before = gateway::fingerprint().unwrap();
    assert!(!before.contains("extconn"), "the lab is not bare");
    let mark = AccessLog::mark().unwrap();

    let begin = Instant::now();
    let ips = SOURCE_IPS.map(|ip| ip.to_string()).join(",");
    let mut shown = vec![session(
        "kubectl extconn init",
        &[
            ("Namespace for extconn", Enters),
            ("Gateway host", Types(format!("root@{GATEWAY}"))),
            ("Source IPs for the cluster", Types(ips)),
            ("Where the cluster reaches its tunnel port", Enters),
            ("API server as the gateway host reaches it", Enters),
            ("Do this?", Enters),
        ],
    )];
    shown.push(session(
        "kubectl extconn expose -n external-services",
        &[
            (
                "Address of the external server",
                Types(EXTERNAL.to_string()),
            ),
            ("Its ports", Types(EXTERNAL_PORT.to_string())),
            ("Service (type", Types("my-service1".into())),
            ("Source IP of", Enters),
            ("Another Service?", ChoosesSecond),
            ("Service (type", Types("my-service2".into())),
            ("Source IP of", Enters),
            ("Name (pods dial it)", Types(scenario.name.clone())),
            ("Apply this?", Enters),
        ],
    ));
    shown.push(session(
        "kubectl extconn test -n external-services --echo /",
        &[],
    ));
    let took = begin.elapsed();
    println!("from init to proof: {:.0} s", took.as_secs_f32());
    let seen: Vec<_> = mark.since().unwrap();
    for ip in SOURCE_IPS {
        let came = seen.iter().any(|access| access.peer.ip() == ip);
        assert!(came, "the external server has not seen {ip}");
    }
    assert!(took < LIMIT, "it took {took:?}");

    let gone = ["kubectl", "extconn", "uninstall", "--yes", "--delete-crds"];
    let said = ask::host(Host::Workstation, &gone).unwrap();
    assert!(said.success, "{said:?}");
    assert_same(&before, &gateway::fingerprint().unwrap());
    let namespaces = scenario.sources.each_ref().map(|s| s.namespace.as_str());
    ask::cluster_ok(&[&["delete", "namespace"], &namespaces[..]].concat(), "").unwrap();
    assert_eq!(leftovers::of_installation().unwrap(), [""; 0]);
    let crds = ask::cluster_ok(&["get", "crds", "-o", "name"], "").unwrap();
    assert_eq!(crds, "");
    println!("{}", shown.join("\n\n"));
}

/// One command on a terminal: what stands there at the end, with the command itself.
fn session(command: &str, answers: &[(&str, Answer)]) -> String {
    let mut terminal = Terminal::run(COLUMNS, command).unwrap();
    for (words, answer) in answers {
        terminal.wait_for(words).unwrap();
        match answer {
            Types(text) => terminal.answer(text).unwrap(),
            Enters => terminal.press(Key::Enter).unwrap(),
            ChoosesSecond => {
                terminal.press(Key::Down).unwrap();
                terminal.press(Key::Enter).unwrap();
            }
        }
    }
    let ended = terminal.end().unwrap();
    assert_eq!(ended.status, 0, "{command}:\n{}", ended.screen);
    format!("$ {command}\n{}", without_times(&ended.screen))
}

/// The text without what differs from run to run: ` (3 s)`.
fn without_times(screen: &str) -> String {
    let line = |line: &str| {
        let bare = line.strip_suffix(" s)").and_then(|rest| {
            let (before, seconds) = rest.rsplit_once(" (")?;
            seconds
                .chars()
                .all(|c| c.is_ascii_digit())
                .then_some(before)
        });
        bare.unwrap_or(line).trim_end().to_owned()
    };
    screen.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Shows the lines that differ, and not thousands that do not.
fn assert_same(before: &str, after: &str) {
    let lines = |text: &str| -> Vec<String> { text.lines().map(str::to_owned).collect() };
    let (before, after) = (lines(before), lines(after));
    let missing: Vec<_> = before.iter().filter(|line| !after.contains(line)).collect();
    let fresh: Vec<_> = after.iter().filter(|line| !before.contains(line)).collect();
    assert!(
        missing.is_empty() && fresh.is_empty(),
        "gone from the gateway host: {missing:#?}\nleft on it: {fresh:#?}"
    );
}
