//! Pure: forms in which an answer is printed.

use clap::ValueEnum;
use serde::Serialize;

/// Form in which an answer is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    #[default]
    #[value(alias = "text")]
    Table,
    /// One JSON object.
    Json,
    /// One YAML document.
    Yaml,
}

/// `answer` as one indented JSON object with a final newline.
pub(crate) fn json(answer: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(answer).expect("answers have string keys only");
    text.push('\n');
    text
}

/// `answer` as one YAML document with a final newline.
pub(crate) fn yaml(answer: &impl Serialize) -> String {
    serde_yaml::to_string(answer).expect("answers have string keys only")
}
