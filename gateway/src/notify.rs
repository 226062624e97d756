//! What systemd is told: ready, alive, stopping, and a line for `systemctl status`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;
use tracing::{error, warn};

/// A pass that takes longer than this is stuck, and only a restart helps. iptables may wait long
/// for a lock that somebody else holds.
const STUCK: Duration = Duration::from_secs(180);

/// The line to systemd; without systemd it leads nowhere.
pub struct Notifier {
    started: Instant,
    /// Milliseconds after the start at which the last pass ended.
    passed: Arc<AtomicU64>,
    ready: bool,
    status: String,
}

impl Notifier {
    /// Begins to tell systemd that the process is alive, if the unit asks for it.
    pub fn start() -> Self {
        let started = Instant::now();
        let passed = Arc::new(AtomicU64::new(0));
        if let Some(period) = sd_notify::watchdog_enabled() {
            tokio::spawn(be_alive(period / 3, started, passed.clone()));
        }
        Self {
            started,
            passed,
            ready: false,
            status: String::new(),
        }
    }

    /// Notes that the agent is not stuck.
    pub fn passed(&self) {
        let millis = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.passed.store(millis, Ordering::Relaxed);
    }

    /// Says once that the service is up.
    pub fn ready(&mut self) {
        if !self.ready {
            self.ready = true;
            tell(&NotifyState::Ready);
        }
    }

    /// Whether it was said that the service is up.
    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// Sets the line that `systemctl status` shows.
    pub fn status(&mut self, line: String) {
        if self.status != line {
            tell(&NotifyState::Status(&line));
            self.status = line;
        }
    }

    /// Says that the service goes down.
    pub fn stopping(&self) {
        tell(&NotifyState::Stopping);
    }
}

async fn be_alive(period: Duration, started: Instant, passed: Arc<AtomicU64>) {
    let mut tick = tokio::time::interval(period);
    loop {
        tick.tick().await;
        let passed = Duration::from_millis(passed.load(Ordering::Relaxed));
        if started.elapsed().saturating_sub(passed) > STUCK {
            error!("no progress, leaving it to the watchdog to restart the service");
            return;
        }
        tell(&NotifyState::Watchdog);
    }
}

fn tell(state: &NotifyState) {
    if let Err(error) = sd_notify::notify(std::slice::from_ref(state)) {
        warn!(%error, "cannot reach systemd");
    }
}
