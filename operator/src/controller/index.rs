//! Pure: objects of one kind by what they have in common. Whoever looks for a few of many asks
//! here: looking through a store for each object takes the square of their number.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};

use extconn_api::NamespacedName;
use kube::Resource;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;

use crate::reconcile::ownership;

/// The objects of a store by tag; each has any number of tags.
pub struct Index<K: Resource<DynamicType = ()> + 'static, T> {
    store: Store<K>,
    entries: Arc<RwLock<Entries<T>>>,
}

impl<K: Resource<DynamicType = ()>, T> Clone for Index<K, T> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            entries: self.entries.clone(),
        }
    }
}

/// Keeps an index in line with the events that fill its store.
pub struct Indexer<K, T> {
    tags: fn(&K) -> Vec<T>,
    entries: Arc<RwLock<Entries<T>>>,
    /// What a list that has begun holds so far: like the store, an index changes when it is whole.
    begun: Entries<T>,
}

struct Entries<T> {
    names: HashMap<T, BTreeSet<NamespacedName>>,
    tags: HashMap<NamespacedName, Vec<T>>,
}

/// An empty index of this store, and what fills it.
pub fn index<K, T>(store: Store<K>, tags: fn(&K) -> Vec<T>) -> (Index<K, T>, Indexer<K, T>)
where
    K: Resource<DynamicType = ()>,
{
    let entries = Arc::<RwLock<Entries<T>>>::default();
    let indexer = Indexer {
        tags,
        entries: entries.clone(),
        begun: Entries::default(),
    };
    (Index { store, entries }, indexer)
}

impl<K: Resource<DynamicType = ()> + Clone, T: Eq + Hash> Index<K, T> {
    /// The objects that have one of these tags: each once, by namespace and name.
    pub fn with(&self, tags: &[T]) -> Vec<Arc<K>> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let names: BTreeSet<&NamespacedName> = tags
            .iter()
            .filter_map(|tag| entries.names.get(tag))
            .flatten()
            .collect();
        names
            .into_iter()
            .filter_map(|name| {
                let mut object = ObjectRef::new(&name.name);
                if !name.namespace.is_empty() {
                    object = object.within(&name.namespace);
                }
                self.store.get(&object)
            })
            .collect()
    }
}

impl<K: Resource, T: Clone + Eq + Hash> Indexer<K, T> {
    /// Takes in what has just gone into the store.
    pub fn see(&mut self, event: &Event<K>) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Apply(object) => entries.put(ownership::key(object), (self.tags)(object)),
            Event::Delete(object) => entries.remove(&ownership::key(object)),
            Event::Init => self.begun = Entries::default(),
            Event::InitApply(object) => {
                self.begun.put(ownership::key(object), (self.tags)(object));
            }
            Event::InitDone => *entries = std::mem::take(&mut self.begun),
        }
    }
}

impl<T: Clone + Eq + Hash> Entries<T> {
    fn put(&mut self, name: NamespacedName, tags: Vec<T>) {
        self.remove(&name);
        for tag in &tags {
            let names = self.names.entry(tag.clone()).or_default();
            names.insert(name.clone());
        }
        self.tags.insert(name, tags);
    }

    fn remove(&mut self, name: &NamespacedName) {
        for tag in self.tags.remove(name).unwrap_or_default() {
            if let Entry::Occupied(mut names) = self.names.entry(tag) {
                names.get_mut().remove(name);
                if names.get().is_empty() {
                    names.remove();
                }
            }
        }
    }
}

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self {
            names: HashMap::new(),
            tags: HashMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::ResourceExt;
    use kube::runtime::reflector;
    use kube::runtime::reflector::store::Writer;

    use super::*;

    /// A ConfigMap whose keys are its tags.
    fn object(name: &str, tags: &[&str]) -> ConfigMap {
        let mut object = ConfigMap::default();
        object.metadata.namespace = Some("shop".into());
        object.metadata.name = Some(name.into());
        let data = tags.iter().map(|tag| ((*tag).to_owned(), String::new()));
        object.data = Some(data.collect());
        object
    }

    fn tags(object: &ConfigMap) -> Vec<String> {
        object
            .data
            .iter()
            .flatten()
            .map(|(tag, _)| tag.clone())
            .collect()
    }

    struct Watched {
        writer: Writer<ConfigMap>,
        indexer: Indexer<ConfigMap, String>,
        index: Index<ConfigMap, String>,
    }

    impl Watched {
        fn new() -> Self {
            let (store, writer) = reflector::store();
            let (index, indexer) = index(store, tags);
            Self {
                writer,
                indexer,
                index,
            }
        }

        fn see(&mut self, event: Event<ConfigMap>) {
            self.writer.apply_watcher_event(&event);
            self.indexer.see(&event);
        }

        fn check(&self, tags: &[&str], expect: &[&str]) {
            let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
            let found = self.index.with(&tags);
            let names: Vec<String> = found.iter().map(|object| object.name_any()).collect();
            assert_eq!(names, expect, "with {tags:?}");
        }
    }

    #[test]
    fn objects_are_found_by_the_tags_that_they_have_at_present() {
        let mut watched = Watched::new();
        watched.see(Event::Apply(object("a", &["red", "round"])));
        watched.see(Event::Apply(object("b", &["red"])));
        watched.check(&["red"], &["a", "b"]);
        watched.check(&["round", "red"], &["a", "b"]);
        watched.check(&["blue"], &[]);
        watched.see(Event::Apply(object("a", &["blue"])));
        watched.check(&["red"], &["b"]);
        watched.check(&["blue"], &["a"]);
        watched.see(Event::Delete(object("a", &["blue"])));
        watched.check(&["blue"], &[]);
    }

    #[test]
    fn a_list_replaces_what_was_there_when_it_is_whole() {
        let mut watched = Watched::new();
        watched.see(Event::Apply(object("gone", &["red"])));
        watched.see(Event::Init);
        watched.see(Event::InitApply(object("a", &["red"])));
        watched.check(&["red"], &["gone"]);
        watched.see(Event::InitDone);
        watched.check(&["red"], &["a"]);
    }
}
