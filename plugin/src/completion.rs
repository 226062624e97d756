//! Values for completion that only the cluster knows.

use std::ffi::OsStr;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

/// Completes the name of an ExternalService in the namespace of the context.
pub(crate) fn external_service_names() -> ArgValueCompleter {
    ArgValueCompleter::new(|_current: &OsStr| -> Vec<CompletionCandidate> { Vec::new() })
}

/// Completes the name of a check or of a group of checks.
pub(crate) fn check_names() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| -> Vec<CompletionCandidate> {
        let names = crate::check::names().into_iter();
        let fitting = names.filter(|name| name.starts_with(&*current.to_string_lossy()));
        fitting.map(CompletionCandidate::new).collect()
    })
}
