//! The plugin as kubectl runs it: a program with arguments, output and an exit status.

#![allow(clippy::unwrap_used)]
use std::process::{Command, Output};

fn extconn(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kubectl-extconn"))
        .args(args)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn help_speaks_of_kubectl_extconn_and_exits_0() {
    let output = extconn(&["--help"]);
    assert!(output.status.success());
    assert!(text(&output.stdout).contains("Usage: kubectl extconn <COMMAND>"));
}

#[test]
fn wrong_usage_exits_2_and_names_the_word() {
    let output = extconn(&["versoin"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("'versoin'"));
    assert!(output.stdout.is_empty());
}

#[test]
fn version_answers_on_standard_output_alone() {
    let output = extconn(&["version"]);
    assert!(output.status.success());
    assert!(text(&output.stdout).contains(env!("CARGO_PKG_VERSION")));
    assert!(output.stderr.is_empty());
}
