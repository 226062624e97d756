//! What an object was like when its last change came by: a watch tells only what it is like now.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use kube::runtime::reflector::{Lookup, ObjectRef, Store};

/// The objects of one kind, each as it was at its last change.
pub struct Memory<K: Lookup + 'static>
where
    K::DynamicType: Hash + Eq,
{
    store: Store<K>,
    last: HashMap<ObjectRef<K>, Arc<K>>,
}

/// An object before a change and after it; `None` where it is not there.
pub type Step<K> = (Option<Arc<K>>, Option<Arc<K>>);

impl<K> Memory<K>
where
    K: Lookup<DynamicType = ()> + Clone + 'static,
{
    /// Remembers objects of this store.
    pub fn new(store: Store<K>) -> Self {
        let last = HashMap::new();
        Self { store, last }
    }

    /// What this change has changed. The store is ahead of it, or level: an object that it does
    /// not hold has been deleted.
    pub fn step(&mut self, changed: &K) -> Step<K> {
        let key = changed.to_object_ref(());
        let now = self.store.get(&key);
        let before = match &now {
            Some(now) => self.last.insert(key, now.clone()),
            None => self.last.remove(&key),
        };
        (before, now)
    }
}
