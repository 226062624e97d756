//! What both ends log, for people whose test fails and for tests that wait for a line.

use std::io::{self, Write};
use std::time::Duration;

use parking_lot::Mutex;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::TestWriter;

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Writes to the test's output and remembers.
struct Remembered(TestWriter);

impl Write for Remembered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.lock().extend(bytes);
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Begins to log; `RUST_LOG` says how much.
pub fn log() {
    let filter = EnvFilter::builder()
        .with_default_directive("extconn_dataplane=info".parse().unwrap())
        .from_env_lossy();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false);
    // Another test of this process may have done it.
    let _ = subscriber
        .with_writer(|| Remembered(TestWriter::default()))
        .try_init();
}

/// Waits for a line that has all of some words in it.
pub async fn logged(words: &[&str]) {
    let found = || {
        let lines = LINES.lock();
        let lines = String::from_utf8_lossy(&lines);
        lines
            .lines()
            .any(|line| words.iter().all(|word| line.contains(word)))
    };
    while !found() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
