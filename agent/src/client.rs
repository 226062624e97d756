//! The Kubernetes client of an agent: it must notice a dead connection by itself.

use std::time::Duration;

use kube::{Client, Config};

/// Length of a watch call, in seconds. The watcher notices a silently dropped connection 5 s
/// after its end, so this bounds how long an agent may follow a dead connection.
pub const WATCH_SECONDS: u32 = 60;

/// A client with bounds on every wait: 5 s to connect, and longer than a watch call to read, so
/// that an idle watch is not taken for a dead one.
///
/// Errors if the credential of `config` cannot be read.
pub fn bounded(mut config: Config) -> Result<Client, kube::Error> {
    config.connect_timeout = Some(Duration::from_secs(5));
    config.write_timeout = Some(Duration::from_secs(10));
    config.read_timeout = Some(Duration::from_secs(u64::from(WATCH_SECONDS) + 15));
    // Otherwise a pooled connection's idle time counts against the next request on it.
    config.reset_reader_on_write = true;
    // The built-in retries may hide an outage for a quarter of an hour; the agents' own loops
    // retry, and say so.
    config.default_retry = false;
    Client::try_from(config)
}
