//! Values for completion that only the cluster knows.

use std::ffi::OsStr;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

/// Completes the name of an ExternalService in the namespace of the context.
pub(crate) fn external_service_names() -> ArgValueCompleter {
    ArgValueCompleter::new(|_current: &OsStr| -> Vec<CompletionCandidate> { Vec::new() })
}
