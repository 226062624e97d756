//! Pure: the flows of a tunnel, and their numbers.

use std::collections::HashMap;
use std::sync::Arc;

use super::{MAX_FLOWS, Side};
use crate::tunnel::flow::Flow;
use crate::tunnel::frame::FlowId;

/// The flows of a tunnel.
#[derive(Default)]
pub(super) struct Table {
    pub(super) flows: HashMap<FlowId, Arc<Flow>>,
    last_opened: FlowId,
    pub(super) closed: bool,
    /// The other end is going away.
    pub(super) retired: bool,
}

impl Table {
    /// The next number of this side that no flow has.
    pub(super) fn free_id(&mut self, side: Side) -> Option<FlowId> {
        if self.flows.len() >= MAX_FLOWS {
            return None;
        }
        loop {
            self.last_opened = match (self.last_opened.checked_add(2), side) {
                (Some(2), Side::Dialler) | (None, Side::Dialler) => 1,
                (None, Side::Listener) => 2,
                (Some(next), _) => next,
            };
            if !self.flows.contains_key(&self.last_opened) {
                return Some(self.last_opened);
            }
        }
    }
}
