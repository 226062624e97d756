//! The plugin as kubectl runs it: a program with arguments, output and an exit status.

#![allow(clippy::unwrap_used)]
use std::process::{Command, Output};

/// Runs the plugin without a terminal, a kubeconfig or a home.
fn extconn(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kubectl-extconn"))
        .args(args)
        .env("HOME", "/nonexistent")
        .env_remove("KUBECONFIG")
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
    assert!(text(&output.stdout).contains("Usage: kubectl extconn [OPTIONS] <COMMAND>"));
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
    let output = extconn(&["version", "--client"]);
    assert!(output.status.success());
    assert!(text(&output.stdout).contains(env!("CARGO_PKG_VERSION")));
    assert!(output.stderr.is_empty());
}

#[test]
fn kubectls_flags_are_taken_before_and_after_the_command() {
    for args in [
        ["--namespace=ns1", "version", "--client"],
        ["version", "--client", "-nns1"],
    ] {
        assert!(extconn(&args).status.success(), "{args:?}");
    }
}

#[test]
fn without_a_kubeconfig_it_says_so_and_exits_3() {
    let output = extconn(&["status"]);
    assert_eq!(output.status.code(), Some(3));
    let said = text(&output.stderr);
    assert!(
        said.contains("there is no kubeconfig") && said.contains("next:"),
        "{said}"
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn an_api_server_that_is_away_is_named_by_its_address() {
    // Nobody listens on a port that was just free.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let server = format!("https://{free}");
    let output = extconn(&["status", "--server", &server]);
    assert_eq!(output.status.code(), Some(3));
    assert!(
        text(&output.stderr).contains(&server),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let program = env!("CARGO_BIN_EXE_kubectl-extconn");
    let line = format!("{program} version --client | true; echo ${{PIPESTATUS[0]}}");
    let output = Command::new("bash").args(["-c", &line]).output().unwrap();
    assert_eq!(text(&output.stdout), "0\n");
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
}
