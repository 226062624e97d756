//! The Kubernetes client of an agent: it must notice a dead connection by itself.

use std::time::Duration;

use kube::client::ClientBuilder;
use kube::{Client, Config};
use tower::limit::{ConcurrencyLimitLayer, RateLimitLayer};

/// Length of a watch call, in seconds. The watcher notices a silently dropped connection 5 s
/// after its end, so this bounds how long an agent may follow a dead connection.
pub const WATCH_SECONDS: u32 = 60;

/// Requests of a [`rationed`] client: so many at first, and in each period of this length.
const RATION: (u64, Duration) = (400, Duration::from_secs(2));

/// Requests of a [`rationed`] client at one time; each takes a connection.
const RATIONED_AT_ONCE: usize = 8;

/// A client with bounds on every wait: 5 s to connect, and longer than a watch call to read, so
/// that an idle watch is not taken for a dead one.
///
/// Errors if the credential of `config` cannot be read.
pub fn bounded(config: Config) -> Result<Client, kube::Error> {
    Client::try_from(with_bounds(config))
}

/// A client for requests that strangers can bring about: as [`bounded`], and with a bound on how
/// many they are. What is over it waits.
///
/// Errors if the credential of `config` cannot be read.
pub fn rationed(config: Config) -> Result<Client, kube::Error> {
    let (requests, period) = RATION;
    Ok(ClientBuilder::try_from(with_bounds(config))?
        .with_layer(&RateLimitLayer::new(requests, period))
        .with_layer(&ConcurrencyLimitLayer::new(RATIONED_AT_ONCE))
        .build())
}

fn with_bounds(mut config: Config) -> Config {
    config.connect_timeout = Some(Duration::from_secs(5));
    config.write_timeout = Some(Duration::from_secs(10));
    config.read_timeout = Some(Duration::from_secs(u64::from(WATCH_SECONDS) + 15));
    // Otherwise a pooled connection's idle time counts against the next request on it.
    config.reset_reader_on_write = true;
    // The built-in retries may hide an outage for a quarter of an hour; the agents' own loops
    // retry, and say so.
    config.default_retry = false;
    config
}
