//! Log output: one line for each event, for people or for programs.

use std::error::Error;

use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object for each line.
    Json,
}

/// What libraries log unless they are asked for by name. Every retry of a watch is a line of ours
/// too; the library's own repeats it without context, and strangers can bring it about.
const LIBRARIES: &str = "kube_client=off,kube_runtime=off,russh=error";

/// Sends log events to standard error. `RUST_LOG` chooses what is logged; without it, everything
/// from `info` up.
///
/// Call it once, before the first event: a second call does nothing.
pub fn init(format: LogFormat) {
    let chosen = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default();
    let chosen = if chosen.is_empty() { "info" } else { &chosen };
    // Of two directives for one target the later one holds.
    let filter = EnvFilter::try_new(format!("{LIBRARIES},{chosen}"))
        .unwrap_or_else(|_| EnvFilter::new(format!("{LIBRARIES},info")));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_writer(std::io::stderr);
    // An error means that a subscriber is there: then logs go where its owner wants them.
    let _ = match format {
        LogFormat::Text => lines.with_ansi(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
}

/// An error and its causes in one line, each said once: many libraries repeat the cause in their
/// own text, some do not.
pub fn causes(error: &(dyn Error + 'static)) -> String {
    // The library writes out the whole answer of the API server; its message says it all.
    if let Some(kube::Error::Api(answer)) = error.downcast_ref() {
        return format!("the API server says {}: {}", answer.code, answer.message);
    }
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        let text = source.to_string();
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = source.source();
    }
    line
}
