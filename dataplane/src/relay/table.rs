//! The flows that are alive, each with what it was allowed for, so that those can be cut for which
//! that is no longer so.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::tunnel::flow::Cutter;
use crate::tunnel::reason::Reason;

/// Flows alive, with a `K` each that says what they are.
#[derive(Debug)]
pub(crate) struct FlowTable<K>(Arc<Shared<K>>);

#[derive(Debug)]
struct Shared<K> {
    entries: Mutex<Entries<K>>,
    emptied: Notify,
}

#[derive(Debug)]
struct Entries<K> {
    next: u64,
    flows: HashMap<u64, (K, Cutter)>,
}

impl<K> Default for FlowTable<K> {
    fn default() -> Self {
        Self(Arc::new(Shared {
            entries: Mutex::new(Entries {
                next: 0,
                flows: HashMap::new(),
            }),
            emptied: Notify::new(),
        }))
    }
}

/// Takes its flow out of the table when it is dropped.
#[derive(Debug)]
pub(crate) struct Entry<K> {
    table: Arc<Shared<K>>,
    number: u64,
}

impl<K> FlowTable<K> {
    /// Puts a flow in. Whoever does must look *afterwards* whether it is still allowed: what
    /// changed before would not have found it.
    pub(crate) fn insert(&self, key: K, cutter: Cutter) -> Entry<K> {
        let mut entries = self.0.entries.lock();
        let number = entries.next;
        entries.next += 1;
        entries.flows.insert(number, (key, cutter));
        Entry {
            table: Arc::clone(&self.0),
            number,
        }
    }

    /// Cuts the flows that are not allowed; how many.
    pub(crate) fn cut_unless(&self, allowed: impl Fn(&K) -> bool, reason: Reason) -> usize {
        let cut: Vec<Cutter> = {
            let entries = self.0.entries.lock();
            let flows = entries.flows.values();
            let unwanted = flows.filter(|(key, _)| !allowed(key));
            unwanted.map(|(_, cutter)| cutter.clone()).collect()
        };
        for cutter in &cut {
            cutter.cut(reason);
        }
        cut.len()
    }

    /// Waits until no flow is left. One task at a time.
    pub(crate) async fn emptied(&self) {
        while !self.0.entries.lock().flows.is_empty() {
            self.0.emptied.notified().await;
        }
    }

    /// Looks at each flow alive. Flows that come or go meanwhile wait: be quick.
    pub(crate) fn look(&self, mut at: impl FnMut(&K)) {
        for (key, _) in self.0.entries.lock().flows.values() {
            at(key);
        }
    }

    /// Flows alive.
    pub(crate) fn len(&self) -> usize {
        self.0.entries.lock().flows.len()
    }
}

impl<K> Drop for Entry<K> {
    fn drop(&mut self) {
        let mut entries = self.table.entries.lock();
        entries.flows.remove(&self.number);
        if entries.flows.is_empty() {
            self.table.emptied.notify_one();
        }
    }
}
