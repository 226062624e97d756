//! `docs/cli.md` is made of the words that `--help` shows, and every example in them is checked.

use clap::{Command, CommandFactory};

use crate::cli::Cli;

/// Commands that users see, with the name as typed, the whole first.
fn commands() -> Vec<(String, Command)> {
    let mut all = vec![("kubectl extconn".to_owned(), Cli::command())];
    let subcommands = Cli::command();
    let visible = subcommands
        .get_subcommands()
        .filter(|command| !command.is_hide_set());
    all.extend(visible.map(|command| {
        (
            format!("kubectl extconn {}", command.get_name()),
            command.clone(),
        )
    }));
    all
}

/// The example commands of a command's help: lines that continue with a backslash are one.
fn examples(command: &Command) -> Vec<String> {
    let help = command
        .get_after_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    let joined = help.replace("\\\n", " ");
    let lines = joined
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("kubectl extconn"));
    lines
        .map(|line| {
            line.split(['|', '>'])
                .next()
                .unwrap_or_default()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect()
}

fn options(command: &Command) -> String {
    let mut text = String::new();
    let own = command.get_arguments().filter(|argument| {
        !argument.is_hide_set() && !argument.is_global_set() && argument.get_id() != "help"
    });
    for argument in own {
        let mut name = match (argument.get_short(), argument.get_long()) {
            (Some(short), Some(long)) => format!("-{short}, --{long}"),
            (Some(short), None) => format!("-{short}"),
            (None, Some(long)) => format!("--{long}"),
            (None, None) => String::new(),
        };
        let values: Vec<String> = argument
            .get_value_names()
            .into_iter()
            .flatten()
            .map(ToString::to_string)
            .collect();
        let takes_value = argument.get_action().takes_values();
        if takes_value {
            name = format!("{name} {}", values.join(" ")).trim().to_owned();
        }
        let mut help = argument
            .get_help()
            .map(ToString::to_string)
            .unwrap_or_default()
            .replace('\n', " ");
        let choices: Vec<String> = argument
            .get_possible_values()
            .iter()
            .filter(|value| !value.is_hide_set())
            .map(|value| value.get_name().to_owned())
            .collect();
        if takes_value && !choices.is_empty() {
            help = format!("{help}. One of: {}.", choices.join(", "));
        }
        let defaults: Vec<String> = argument
            .get_default_values()
            .iter()
            .map(|value| value.to_string_lossy().into_owned())
            .collect();
        if takes_value && !defaults.is_empty() {
            help = format!(
                "{}. Default: {}.",
                help.trim_end_matches('.'),
                defaults.join(", ")
            );
        }
        text.push_str(&format!("| `{name}` | {} |\n", help.replace('|', "\\|")));
    }
    if text.is_empty() {
        text
    } else {
        format!("| flag or argument | meaning |\n|---|---|\n{text}\n")
    }
}

fn page() -> String {
    let mut page = "\
# kubectl extconn

Made from the same words as `--help`; `make generate` writes this page.

Answers go to standard output, progress, questions and errors to standard error. Every question
has a flag; with `--yes`, or without a terminal, nothing is asked, and a missing answer is an
error that names its flag. `NO_COLOR` is honoured.

| exit status | meaning |
|---|---|
| 0 | done |
| 1 | it ran, and what it was asked to do or to show is not so |
| 2 | a flag or an answer is wrong or missing |
| 3 | it could not run: no cluster, no permission, a program or file that is not there |
| 130 | interrupted |

"
    .to_owned();
    for (name, command) in commands() {
        let about = command
            .get_about()
            .map(ToString::to_string)
            .unwrap_or_default();
        let heading = if name == "kubectl extconn" {
            "## Flags of every command".to_owned()
        } else {
            format!("## {name}")
        };
        page.push_str(&format!("{heading}\n\n"));
        if name == "kubectl extconn" {
            page.push_str(
                "These are kubectl's own, under kubectl's names, and stand behind `extconn`.\n\n",
            );
            page.push_str(&options(
                &command.clone().mut_args(|argument| argument.global(false)),
            ));
            continue;
        }
        page.push_str(&format!("{about}.\n\n").replace("..", "."));
        page.push_str(&options(&command));
        if let Some(help) = command.get_after_help() {
            page.push_str(&format!(
                "```text\n{}\n```\n\n",
                help.to_string().trim_end()
            ));
        }
    }
    format!("{}\n", page.trim_end())
}

#[test]
fn the_reference_says_what_help_says() {
    crate::derived::compare("docs/cli.md", &page());
}

#[test]
fn every_command_has_examples_and_each_is_understood() {
    for (name, command) in commands() {
        let examples = examples(&command);
        assert!(!examples.is_empty(), "{name} has no example");
        for example in examples {
            // Words in quotes would need a shell; examples do without.
            let words = example.split_whitespace().skip(1).map(|word| {
                if word == "extconn" {
                    "kubectl-extconn"
                } else {
                    word
                }
            });
            if let Err(error) = Cli::command().try_get_matches_from(words) {
                panic!("{example}: {error}");
            }
        }
    }
}

#[test]
fn the_command_line_has_no_contradictions() {
    Cli::command().debug_assert();
}
