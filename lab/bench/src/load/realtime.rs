//! Threads that measure time go before those that are measured, so that waiting for a processor
//! does not count as waiting for an answer.

use std::process::Command;

use nix::unistd::gettid;

/// Lets the calling thread run before all ordinary ones, for as long as it lives. Where that is
/// not allowed nothing changes; figures are then a little higher for every contender.
pub fn go_first() {
    let thread = gettid().to_string();
    let _ = Command::new("chrt")
        .args(["--rr", "--pid", "2", &thread])
        .output();
}
