//! What moves a link's bytes into ssh and watches that the other end lives.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::MissedTickBehavior;

use super::settings::{MISSED_PULSES, PULSE};
use crate::tunnel::backlog::Backlog;
use crate::tunnel::link::Link;
use crate::tunnel::socket::SocketCutter;

/// A way into an ssh channel.
pub(super) trait Carrier: Send + Sync + 'static {
    /// Hands bytes over; `false` when the connection is gone.
    fn carry(&self, bytes: Bytes) -> impl Future<Output = bool> + Send;
}

/// Moves a link's bytes into ssh until either ends.
pub(super) fn spawn_carrier<C: Carrier>(
    link: Link,
    backlog: Arc<Backlog>,
    socket: SocketCutter,
    carrier: C,
) {
    tokio::spawn(watch(link.clone(), socket));
    tokio::spawn(async move {
        tokio::select! {
            () = link.closed() => {}
            () = carry(&link, &backlog, &carrier) => link.close("ssh takes no more bytes"),
        }
    });
}

async fn carry<C: Carrier>(link: &Link, backlog: &Arc<Backlog>, carrier: &C) {
    loop {
        backlog.room().await;
        match link.next_output() {
            Some(bytes) => {
                if !carrier.carry(backlog.counted(bytes)).await {
                    return;
                }
            }
            None => link.output().await,
        }
    }
}

/// Closes the link when the other end is silent although it was asked. Counts its own rounds and
/// not time alone, so that a process that was stopped for a while does not blame the other end.
async fn watch(link: Link, socket: SocketCutter) {
    let mut pulse = tokio::time::interval(PULSE);
    pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut missed = 0;
    loop {
        tokio::select! {
            () = link.closed() => return,
            _ = pulse.tick() => {}
        }
        missed = if link.silence() < PULSE {
            0
        } else {
            missed + 1
        };
        if missed > MISSED_PULSES {
            link.close(format!(
                "nothing heard for {:.1} s",
                link.silence().as_secs_f32()
            ));
            return;
        }
        if let Some(round_trip) = socket.round_trip() {
            link.set_round_trip(round_trip);
        }
        link.ping();
    }
}
