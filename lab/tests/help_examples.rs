//! Every example of every `kubectl extconn … --help` is run as it is printed, in an order in which
//! it makes sense. Needs a lab that is up; installs extconn by an example, and removes it by one.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use extconn_lab::host;
use extconn_lab::installation;
use extconn_lab::progress::Progress;
use extconn_lab::terminal::{Key, Terminal};
use extconn_lab::topology::Host;
use extconn_lab::walkthrough::ask::{self, Said};
use extconn_lab::walkthrough::{Scenario, workload};

/// What is run, and how it has to end.
enum Step {
    /// An example that ends by itself, with these words among what it says.
    Run(&'static str, &'static str),
    /// An example that asks or goes on for ever: once these words came, Ctrl-C ends it.
    Leave(&'static str, &'static str),
    /// What has to be so for the examples that follow.
    Prepare(fn() -> Result<()>),
}
use Step::{Leave, Prepare, Run};

/// The examples by their comments, under the command whose help shows them, in the order in which
/// they are run. Those of `kubectl extconn --help` are among them.
const STEPS: &[(&str, &[Step])] = &[
    (
        "version",
        &[
            Run(
                "This plugin only, without asking the cluster",
                "Client version",
            ),
            Run("For a script", "{"),
        ],
    ),
    (
        "completion",
        &[
            Run("Into the folder that holds kubectl-extconn", "completes"),
            Run("Elsewhere on your PATH", ""),
        ],
    ),
    (
        "man",
        &[
            Run("Read it", "kubectl-extconn"),
            Run("One page for each command, where man finds them", ""),
        ],
    ),
    (
        "check",
        &[Run("Can extconn be installed here?", "helm-installed")],
    ),
    (
        "init",
        &[
            Leave("Answer questions", "Namespace for extconn"),
            Run("See everything that would be run and made", "helm"),
            Run("Only the cluster's part; gateway hosts follow", "operator"),
            Run(
                "Without questions: both source IPs are on the host",
                "192.168.122.201",
            ),
        ],
    ),
    (
        "expose",
        &[
            Prepare(|| workload::create(&Scenario::reference())),
            Leave("Answer questions", "Address of the external server"),
            Run("Only write the manifest", "targetIP: \"192.168.122.139\""),
            Run(
                "Check a manifest against the cluster without applying it",
                "my-externalservice",
            ),
            Run(
                "As an administrator, for Services of several namespaces",
                "192.168.122.201",
            ),
            Prepare(|| delete("external-services")),
            Run(
                "Without questions",
                "my-externalservice.external-services.svc",
            ),
        ],
    ),
    (
        "status",
        &[
            Run("In the namespace of the context", "my-externalservice"),
            Leave(
                "Everywhere, and again at each change until Ctrl-C",
                "my-externalservice",
            ),
            Run(
                "One, for a script: exit status 0 means that it is ready",
                "\"ready\": true",
            ),
        ],
    ),
    (
        "",
        &[Run(
            "What is exposed, through which gateway, and is it healthy?",
            "my-externalservice",
        )],
    ),
    (
        "test",
        &[
            Run(
                "Every ExternalService of the namespace, both directions",
                "proven",
            ),
            Run(
                "One, and the address that the external server saw: it answers at / with the caller's address",
                "the target saw 192.168.122.200",
            ),
            Run(
                "Only from the cluster to the external server, without ssh to the gateway host",
                "proven",
            ),
            Run("For a program that collects test results", "failures=\"0\""),
        ],
    ),
    (
        "check",
        &[
            Run("Is everything well?", "passed"),
            Run("One thing, again until it is well", "tunnels-up"),
            Run("For a script", "{"),
        ],
    ),
    (
        "logs",
        &[
            Run("The last lines of operator and forwarders", "extconn"),
            Leave("The operator, as it goes on", "operator"),
            Run(
                "The forwarders of one ExternalService, of the last ten minutes",
                "tunnel up",
            ),
            Run("The gateway hosts, over ssh", "extconn-gateway"),
        ],
    ),
    (
        "version",
        &[Run(
            "Everything, with a warning where versions differ too much",
            "Operator",
        )],
    ),
    (
        "uninstall",
        &[
            Run("See what would be removed", "remove the gateway"),
            Run("Only one gateway host", "192.168.122.10"),
            Run(
                "Everything but the CustomResourceDefinitions and the ExternalServices of other namespaces",
                "The CustomResourceDefinitions stay",
            ),
            Run("Without a trace", "are gone"),
            Prepare(|| workload::delete(&Scenario::reference())),
        ],
    ),
];

/// The administrator's own kubeconfig, whose context is in the namespace of the first Service.
const KUBECONFIG: &str = "/run/extconn-lab/examples-kubeconfig";

/// An example as help prints it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Example {
    comment: String,
    /// Its lines, as a shell takes them.
    script: String,
}

#[test]
#[ignore = "needs a lab that is up: make end-to-end"]
fn every_example_of_help_does_what_it_says() {
    run().unwrap_or_else(|error| panic!("{error:?}"));
}

fn run() -> Result<()> {
    // Examples name files of the source tree.
    std::env::set_current_dir(installation::tree()).context("go to the source tree")?;
    let progress = Progress::new();
    installation::provide(&progress)?;
    // What an earlier run may have left, which was stopped half-way.
    workload::delete(&Scenario::reference()).ok();
    if ask::cluster(&["get", "namespace", "external-services"], "")?.success {
        installation::uninstall(&progress)?;
    }
    let line = format!(
        "kubectl config view --raw > {KUBECONFIG} && kubectl --kubeconfig {KUBECONFIG} config set-context --current --namespace ns1"
    );
    let made = ask::host(Host::Workstation, &["sh", "-c", &line])?;
    ensure!(made.success, "no kubeconfig: {}", made.stderr);

    let mut run = BTreeSet::new();
    for (command, steps) in STEPS {
        let examples = examples(&help(command)?);
        for step in *steps {
            let (comment, words, leave) = match step {
                Prepare(prepare) => {
                    prepare()?;
                    continue;
                }
                Run(comment, words) => (comment, words, false),
                Leave(comment, words) => (comment, words, true),
            };
            let example = examples.iter().find(|example| example.comment == *comment);
            let example =
                example.with_context(|| format!("{command} --help has no example {comment:?}"))?;
            let begin = std::time::Instant::now();
            if leave {
                left(example, words)
            } else {
                done(example, words)
            }
            .with_context(|| format!("# {comment}\n{}", example.script))?;
            eprintln!(
                "{:5.1} s  {}",
                begin.elapsed().as_secs_f32(),
                example.script
            );
            run.insert(example.script.clone());
        }
    }
    // An example that nobody runs may say anything.
    for command in commands()? {
        for example in examples(&help(&command)?) {
            ensure!(
                run.contains(&example.script),
                "{command} --help: nobody runs {example:?}"
            );
        }
    }
    Ok(())
}

/// Runs an example without a terminal.
fn done(example: &Example, words: &str) -> Result<()> {
    let argv = shell(&example.script);
    let said: Said = host::command(Host::Workstation, &argv)?
        .env("KUBECONFIG", KUBECONFIG)
        .stdin(std::process::Stdio::null())
        .output()
        .context("run the example")?
        .into();
    ensure!(said.success, "it failed: {}{}", said.stdout, said.stderr);
    let all = said.stdout + &said.stderr;
    ensure!(all.contains(words), "{words:?} is not in: {all}");
    Ok(())
}

/// Runs an example on a terminal until `words` come, and leaves it.
fn left(example: &Example, words: &str) -> Result<()> {
    let line = format!("export KUBECONFIG={KUBECONFIG}; {}", example.script);
    let mut terminal = Terminal::run(100, &line)?;
    terminal.wait_for(words)?;
    terminal.press(Key::CtrlC)?;
    let ended = terminal.end()?;
    ensure!(
        ended.status == 130,
        "it ended with status {}: {}",
        ended.status,
        ended.screen
    );
    Ok(())
}

/// A shell whose /usr/local is its own: examples write there.
fn shell(script: &str) -> [&str; 6] {
    let own = "mount -t tmpfs examples /usr/local && mkdir -p /usr/local/bin /usr/local/share/man/man1 && eval \"$0\"";
    ["unshare", "--mount", "sh", "-ec", own, script]
}

fn help(command: &str) -> Result<String> {
    let mut argv = vec!["kubectl", "extconn"];
    argv.extend(Some(command).filter(|command| !command.is_empty()));
    argv.push("--help");
    let said = ask::host(Host::Workstation, &argv)?;
    ensure!(said.success, "{}: {}", argv.join(" "), said.stderr);
    Ok(said.stdout)
}

/// Every command that `kubectl extconn --help` lists but `help`, and that help itself, as "".
fn commands() -> Result<Vec<String>> {
    let help = help("")?;
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = listed
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  "))
        .filter(|line| !line.starts_with(' '))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help");
    let commands: Vec<String> = names.chain([""]).map(str::to_owned).collect();
    ensure!(
        commands.len() > 8,
        "help lists too few commands: {commands:?}"
    );
    Ok(commands)
}

/// The examples of a help text, in order.
fn examples(help: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let lines = help.lines().skip_while(|line| *line != "Examples:").skip(1);
    for line in lines.take_while(|line| line.is_empty() || line.starts_with("  ")) {
        match (line.strip_prefix("  # "), examples.last_mut()) {
            (Some(comment), _) => examples.push(Example {
                comment: comment.to_owned(),
                script: String::new(),
            }),
            (None, Some(last)) if !line.is_empty() => {
                last.script.push_str(line.trim_start());
                last.script.push('\n');
            }
            _ => {}
        }
    }
    for example in &mut examples {
        example.script.truncate(example.script.trim_end().len());
    }
    examples
}

fn delete(namespace: &str) -> Result<()> {
    let object = [
        "delete",
        "externalservice",
        "my-externalservice",
        "-n",
        namespace,
        "--timeout=60s",
    ];
    ask::cluster_ok(&object, "").map(drop)
}
