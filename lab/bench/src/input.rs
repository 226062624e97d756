//! Standard input as a channel: lines, then the end. Programs of the benchmark live as long as
//! whoever started them keeps it open, so that none is left when that one is killed.

use std::io::{self, BufRead};

use tokio::sync::mpsc;

/// Begins to read. The channel closes at the end of standard input.
pub fn lines() -> mpsc::UnboundedReceiver<String> {
    let (line_tx, lines) = mpsc::unbounded_channel();
    // A blocked read cannot be given up, so the thread is left behind when the program ends.
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if line_tx.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Reads and ignores everything until the end.
pub async fn end() {
    let mut lines = lines();
    while lines.recv().await.is_some() {}
}
