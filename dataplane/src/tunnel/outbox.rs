//! Pure: what goes into a tunnel next. Frames that control come first, then flows take turns, a
//! chunk each, those that have little to send before those that have much.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::flow::{Flow, Outgoing};
use super::frame::{FlowId, HEADER_LEN, Kind, write_frame};

/// Bytes of frames that control which may wait. A peer that makes so many and reads none is gone
/// or means ill; one of each for every flow that a tunnel can have fits.
const MAX_CONTROL_LEN: usize = 4 * 1024 * 1024;
/// Small frames are joined up to about this many bytes. A flow that has less to send is light.
const JOINED_LEN: usize = 16 * 1024;
/// Turns of light flows between two of heavy ones.
const LIGHT_TURNS: u8 = 8;

/// The other end takes nothing but makes this one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} bytes of answers wait and the other end takes none")]
pub(crate) struct OutboxFull(usize);

/// What goes into a tunnel next.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    control: Vec<u8>,
    /// Flows that had little to send when they came in here.
    light: VecDeque<Arc<Flow>>,
    /// Flows that had much, or more after their turn.
    heavy: VecDeque<Arc<Flow>>,
    /// Turns of `light` since the last one of `heavy`.
    light_turns: u8,
    /// A large frame that small ones went ahead of.
    next: Option<Bytes>,
    closed: bool,
}

impl Outbox {
    pub(super) fn control(&mut self, kind: Kind, flow: FlowId, payload: &[u8]) {
        if !self.closed {
            write_frame(&mut self.control, kind, flow, payload);
        }
    }

    /// Lets a flow take its turn that has this many bytes to send.
    pub(super) fn enter_ring(&mut self, flow: Arc<Flow>, bytes: usize) {
        if self.closed {
            return;
        }
        if bytes < JOINED_LEN {
            self.light.push_back(flow);
        } else {
            self.heavy.push_back(flow);
        }
    }

    pub(super) fn check(&self) -> Result<(), OutboxFull> {
        if self.control.len() > MAX_CONTROL_LEN {
            return Err(OutboxFull(self.control.len()));
        }
        Ok(())
    }

    pub(super) fn clear(&mut self) {
        *self = Self {
            closed: true,
            ..Self::default()
        };
    }

    /// Takes what goes out next. Flows whose last frame it holds are added to `finished`.
    pub(super) fn next(&mut self, finished: &mut Vec<Arc<Flow>>) -> Option<Bytes> {
        let mut joined = std::mem::take(&mut self.control);
        if joined.is_empty()
            && let Some(large) = self.next.take()
        {
            return Some(large);
        }
        while joined.len() < JOINED_LEN && self.next.is_none() {
            let Some(flow) = self.whose_turn() else {
                break;
            };
            let (taken, more) = flow.take_outgoing();
            match taken {
                Some(Outgoing::Frame(frame)) if frame.len() >= JOINED_LEN => {
                    self.next = Some(Bytes::from(frame));
                }
                Some(Outgoing::Frame(frame)) => joined.extend_from_slice(&frame),
                Some(Outgoing::Finish) => {
                    write_frame(&mut joined, Kind::Finish, flow.id, &[]);
                    finished.push(Arc::clone(&flow));
                }
                None => {}
            }
            if more {
                self.heavy.push_back(flow);
            }
        }
        if joined.is_empty() {
            return self.next.take();
        }
        debug_assert!(joined.len() >= HEADER_LEN, "whole frames only");
        Some(Bytes::from(joined))
    }

    fn whose_turn(&mut self) -> Option<Arc<Flow>> {
        let turn_of_light = self.light_turns < LIGHT_TURNS || self.heavy.is_empty();
        if turn_of_light && let Some(flow) = self.light.pop_front() {
            self.light_turns = self.light_turns.saturating_add(1);
            return Some(flow);
        }
        self.light_turns = 0;
        self.heavy.pop_front().or_else(|| self.light.pop_front())
    }
}
