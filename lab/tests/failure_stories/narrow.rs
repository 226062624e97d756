//! An ExternalService whose names YAML takes for something else, on a terminal of forty columns
//! without colours: every command, from `expose` to `logs`.

use extconn_lab::terminal::{Terminal, plain};
use extconn_lab::topology::{EXTERNAL, EXTERNAL_PORT};
use extconn_lab::walkthrough::{Scenario, ask, story, workload};

use crate::stage::workstation;

/// Columns of the terminal.
const COLUMNS: u16 = 40;

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn names_that_yaml_mistakes_go_through_every_command_on_forty_columns() {
    let mut scenario = Scenario::temporary("on");
    scenario.sources[0].namespace = "1e3".into();
    scenario.sources[1].namespace = "0123".into();
    workload::create(&scenario).unwrap();
    let source = |at: usize| {
        let source = &scenario.sources[at];
        format!(
            "--source {}/{}={}",
            source.namespace, source.service, source.source_ip
        )
    };
    let expose = format!(
        "expose on -n {} --target {EXTERNAL} --port {EXTERNAL_PORT} {} {}",
        scenario.namespace,
        source(0),
        source(1)
    );
    let words: Vec<&str> = expose.split(' ').collect();
    let written = ["--dry-run=client", "-o", "yaml"];
    let manifest =
        workstation(&[&["kubectl", "extconn"], &words[..], &written].concat()).succeeds();
    let read = ask::cluster_ok(
        &["apply", "--dry-run=server", "-o", "name", "-f", "-"],
        &manifest.stdout,
    );
    assert_eq!(read.unwrap().trim(), "externalservice.submariner.io/on");

    let screen = shown(&format!("{expose} --yes"));
    assert!(screen.contains("1e3/my-service1"), "{screen}");
    story::await_ready(&scenario).unwrap();
    let namespace = &scenario.namespace;
    for command in [
        format!("status on -n {namespace}"),
        "status -A".to_owned(),
        format!("test on -n {namespace} --echo /"),
        "check".to_owned(),
        format!("logs forwarder on -n {namespace} --since 10m"),
        "version".to_owned(),
    ] {
        let screen = shown(&command);
        assert!(!screen.is_empty(), "{command} says nothing");
    }
    for form in ["json", "yaml"] {
        let status = workstation(&[
            "kubectl", "extconn", "status", "on", "-n", namespace, "-o", form,
        ])
        .succeeds();
        let value: serde_json::Value = serde_yaml::from_str(&status.stdout).unwrap();
        let shown = &value["externalServices"][0];
        assert_eq!(shown["name"], "on");
        assert_eq!(shown["sources"][0]["service"], "1e3/my-service1");
        assert_eq!(shown["sources"][1]["service"], "0123/my-service2");
    }
    workload::delete(&scenario).unwrap();
}

/// Runs a command of the plugin that has to go well: what it wrote, of which no line may be too
/// long but a table's or a log's, and none coloured.
fn shown(command: &str) -> String {
    let line = format!("export NO_COLOR=1; kubectl extconn {command}");
    let ended = Terminal::run(COLUMNS, &line).unwrap().end().unwrap();
    assert_eq!(ended.status, 0, "{command}: {}", ended.screen);
    for colour in ["\x1b[3", "\x1b[1m", "\x1b[9"] {
        assert!(!ended.raw.contains(colour), "{command}: {:?}", ended.raw);
    }
    let words = plain(&ended.raw);
    if !["status", "logs", "version"]
        .iter()
        .any(|whole| command.starts_with(whole))
    {
        // A spinner is written over, and a command that is to be copied stays whole.
        let whole = |line: &str| line.contains(SPINNER) || line.starts_with("  kubectl ");
        for line in words.lines().filter(|line| !whole(line)) {
            assert!(
                line.chars().count() <= COLUMNS.into(),
                "{command}: {line:?}"
            );
        }
    }
    words
}

/// Frames of a spinner, each written over the one before.
const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
