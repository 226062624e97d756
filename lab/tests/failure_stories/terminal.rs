//! Terminals that show little, and none at all.

use extconn_lab::gateway;
use extconn_lab::terminal::{Key, Terminal, plain};
use extconn_lab::topology::{GATEWAY, GATEWAY2, Host, SOURCE_IP2};

use crate::stage::{INTERRUPTED, USAGE, init, shell, workstation};

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn without_a_terminal_a_missing_answer_names_its_flag() {
    let init = ["kubectl", "extconn", "init"];
    // Something is to be changed, and nobody agrees.
    let told = workstation(
        &[
            &init[..],
            &[
                "--gateway=root@192.168.122.10",
                "--source-ip=192.168.122.200",
            ],
        ]
        .concat(),
    );
    told.fails(USAGE, "--yes is missing", "give --yes");
    let told = workstation(&[&init[..], &["--gateway=-oProxyCommand=x"]].concat());
    assert_eq!(told.status, USAGE, "{told:#?}");
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn on_forty_columns_every_line_fits_and_every_question_can_be_answered() {
    let line =
        "kubectl extconn init --yes --gateway root@192.168.122.10 --source-ip 192.168.122.202";
    let ended = Terminal::run(40, line).unwrap().end().unwrap();
    assert_ne!(ended.status, 0, "{}", ended.screen);
    let words = plain(&ended.raw);
    for line in words.lines() {
        let spinner = line.contains(['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']);
        assert!(spinner || line.chars().count() <= 40, "{line:?}");
    }
    let mut narrow = Terminal::run(40, "kubectl extconn init").unwrap();
    narrow.wait_for("Gateway host").unwrap();
    narrow.press(Key::Enter).unwrap();
    narrow.wait_for("Source IPs").unwrap();
    narrow.press(Key::CtrlC).unwrap();
    let ended = narrow.end().unwrap();
    assert_eq!(ended.status, INTERRUPTED, "{}", ended.screen);
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn no_color_is_honoured_on_a_terminal() {
    let line =
        format!("kubectl extconn init --yes --gateway root@{GATEWAY} --source-ip 192.168.122.202");
    let coloured = Terminal::run(100, &line).unwrap().end().unwrap();
    assert!(coloured.raw.contains("\x1b[31m"), "{}", coloured.raw);
    let plain = Terminal::run(100, &format!("export NO_COLOR=1; {line}")).unwrap();
    let plain = plain.end().unwrap();
    // What is left moves the cursor or hides it.
    let colour = plain.raw.match_indices("\x1b[").find(|(at, _)| {
        let rest = &plain.raw[at + 2..];
        rest.find(|c| ('@'..='~').contains(&c))
            .is_some_and(|end| rest[end..].starts_with('m') && &rest[..end] != "0")
    });
    assert_eq!(colour, None, "{:?}", plain.raw);
    assert!(plain.screen.contains("error: "), "{}", plain.screen);
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn who_has_several_contexts_is_asked_for_one() {
    const KUBECONFIG: &str = "/run/extconn-lab/two-contexts";
    let make = format!(
        "kubectl config view --raw > {KUBECONFIG} && \
         kubectl --kubeconfig {KUBECONFIG} config set-context elsewhere --cluster nowhere"
    );
    shell(Host::Workstation, &make);
    let line = format!("kubectl extconn init --kubeconfig {KUBECONFIG}");
    let mut terminal = Terminal::run(100, &line).unwrap();
    terminal.wait_for("Cluster, by the context").unwrap();
    terminal.wait_for("elsewhere").unwrap();
    terminal.press(Key::Enter).unwrap();
    terminal.wait_for("extconn is installed").unwrap();
    terminal.press(Key::CtrlC).unwrap();
    let ended = terminal.end().unwrap();
    assert_eq!(ended.status, INTERRUPTED, "{}", ended.screen);
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_dry_run_prints_what_it_would_do_and_does_nothing() {
    let gateway = format!("--gateway=root@{GATEWAY2}");
    let ip = format!("--source-ip={SOURCE_IP2}");
    let before = gateway::fingerprint(Host::Gateway2).unwrap();
    let told = init(&[&gateway, &ip, "--dry-run"]).succeeds();
    for shown in [
        "kind: ConfigMap",
        "sshEndpoint: 192.168.122.11:2022",
        "extconn-gateway.service",
    ] {
        assert!(told.stdout.contains(shown), "{shown}: {told:#?}");
    }
    assert_eq!(gateway::fingerprint(Host::Gateway2).unwrap(), before);
    init(&[]).changes_nothing();
}
