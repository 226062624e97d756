//! One direction: a thread of its own that takes packets from one end and delivers them at the
//! other when their time has come.

use std::sync::{Arc, RwLock};
use std::time::Instant;

use anyhow::{Result, anyhow};

use super::end::{End, MAX_PACKET};
use super::profile::Profile;
use super::queue::Queue;

/// Packets that are taken in a row before some are delivered.
const BATCH: usize = 32;
/// Buffers of packets that arrived are used again, up to so many.
const SPARE: usize = 4096;

/// From one end to the other.
pub struct Direction {
    /// Where packets are taken.
    pub from: Arc<End>,
    /// Where they are delivered.
    pub to: Arc<End>,
    /// What lies between; may change at any time.
    pub profile: Arc<RwLock<Profile>>,
}

impl Direction {
    /// Carries packets for ever.
    pub fn carry(&mut self, number: u64) -> Result<()> {
        let mut profile = self.current_profile()?;
        let mut queue = Queue::new(profile.seed, number);
        let mut spare: Vec<Vec<u8>> = Vec::new();
        let mut buffer = vec![0; MAX_PACKET];
        loop {
            for _ in 0..BATCH {
                let Some(packet) = self.from.receive(&mut buffer)? else {
                    break;
                };
                let mut kept = spare.pop().unwrap_or_default();
                kept.clear();
                kept.extend_from_slice(packet);
                let bytes = self.from.length_on_the_wire(packet);
                queue.send(kept, bytes, Instant::now(), &profile);
            }
            while let Some(packet) = queue.arrived(Instant::now()) {
                self.to.deliver(&packet);
                if spare.len() < SPARE {
                    spare.push(packet);
                }
            }
            self.from.wait(queue.next_arrival(Instant::now()))?;
            profile = self.current_profile()?;
        }
    }

    fn current_profile(&self) -> Result<Profile> {
        let profile = self.profile.read();
        Ok(profile
            .map_err(|_| anyhow!("standard input's reader panicked"))?
            .clone())
    }
}
