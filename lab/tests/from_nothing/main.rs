//! From a bare cluster and a bare gateway host to a proven source IP, answering questions only, and
//! back to bare. The README shows what stood on the terminal: `make transcripts` rewrites it. Needs
//! a lab that is up with nothing of extconn in it, and the archive of `make krew`.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use extconn_lab::progress::Progress;
use extconn_lab::terminal::{Key, Terminal};
use extconn_lab::topology::{EXTERNAL, EXTERNAL_PORT, GATEWAY, Host, SOURCE_IPS};
use extconn_lab::walkthrough::{Scenario, ask, leftovers, workload};
use extconn_lab::{AccessLog, gateway, installation};

mod transcript;

/// From the first key of `init` to the proof, on a lab whose images are there.
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
    installation::withdraw_plugin().unwrap();
    let scenario = Scenario::reference();
    workload::create(&scenario).unwrap();
    let before = gateway::fingerprint(Host::Gateway).unwrap();
    assert!(!before.contains("extconn"), "the lab is not bare");
    let mark = AccessLog::mark().unwrap();

    let krew = session(&install_by_krew(), &[]);
    let begin = Instant::now();
    let init = session(
        "kubectl extconn init",
        &[
            ("Namespace for extconn", Enters),
            ("Gateway host", Types(format!("root@{GATEWAY}"))),
            ("Source IPs for the cluster", Types(source_ips())),
            ("Where the cluster reaches its tunnel port", Enters),
            ("API server as the gateway host reaches it", Enters),
            ("Do this?", Enters),
        ],
    );
    let target = EXTERNAL.to_string();
    let expose = session(
        "kubectl extconn expose -n external-services",
        &[
            ("Address of the external server", Types(target)),
            ("Its ports", Types(EXTERNAL_PORT.to_string())),
            ("Service (type", Types("my-service1".into())),
            ("Source IP of", Enters),
            ("Another Service?", ChoosesSecond),
            ("Service (type", Types("my-service2".into())),
            ("Source IP of", Enters),
            ("Name (pods dial it)", Types(scenario.name.clone())),
            ("Apply this?", Enters),
        ],
    );
    let proof = session("kubectl extconn test -n external-services --echo /", &[]);
    let took = begin.elapsed();
    println!("from init to proof: {:.0} s", took.as_secs_f32());
    let seen: Vec<_> = mark.since().unwrap();
    for ip in SOURCE_IPS {
        let came = seen.iter().any(|access| access.peer.ip() == ip);
        assert!(came, "the external server has not seen {ip}");
    }
    assert!(took < LIMIT, "it took {took:?}");

    let uninstall = session(
        "kubectl extconn uninstall --delete-crds",
        &[("Remove all this?", Types("y".into()))],
    );
    assert_same(&before, &gateway::fingerprint(Host::Gateway).unwrap());
    let namespaces = scenario.sources.each_ref().map(|s| s.namespace.as_str());
    ask::cluster_ok(&[&["delete", "namespace"], &namespaces[..]].concat(), "").unwrap();
    assert_eq!(leftovers::of_installation().unwrap(), [""; 0]);
    let crds = ask::cluster_ok(&["get", "crds", "-o", "name"], "").unwrap();
    assert_eq!(crds, "");
    session("kubectl krew uninstall extconn", &[]);
    let gone = ["kubectl", "extconn", "version", "--client"];
    assert!(!ask::host(Host::Workstation, &gone).unwrap().success);

    let shown = [
        ("krew", krew),
        ("init", init),
        ("expose", expose),
        ("test", proof),
        ("uninstall", uninstall),
    ];
    compare(&shown);
}

fn source_ips() -> String {
    SOURCE_IPS.map(|ip| ip.to_string()).join(",")
}

/// As a user does with an archive at hand.
fn install_by_krew() -> String {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!(
        "kubectl krew install --manifest=extconn.yaml --archive=extconn-linux-{architecture}.tar.gz"
    )
}

/// One command on a terminal, in the folder with the archive: the command, and what stands there at
/// the end.
fn session(command: &str, answers: &[(&str, Answer)]) -> String {
    let folder = installation::tree().join("target/krew");
    // These keys come faster than a person's: what the terminal itself echoes between two that are
    // read would stand in the transcript.
    let line = format!("stty -echo; cd {} && {command}", folder.display());
    let mut terminal = Terminal::run(COLUMNS, &line).unwrap();
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
    transcript::of(command, &ended.screen)
}

/// The README shows these transcripts; `UPDATE_EXPECT=1` puts them in.
fn compare(transcripts: &[(&str, String)]) {
    let path: PathBuf = installation::tree().join("README.md");
    let mut page = fs::read_to_string(&path).unwrap();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        for (name, text) in transcripts {
            page = transcript::shown_instead(&page, name, text);
        }
        fs::write(&path, &page).unwrap();
    }
    for (name, text) in transcripts {
        let (shown, is) = (transcript::shown(&page, name), transcript::block(text));
        assert_eq!(
            transcript::essence(shown),
            transcript::essence(&is),
            "README.md does not show what `{name}` says: see that it is meant, then `make transcripts`.\n{is}"
        );
    }
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
