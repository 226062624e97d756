//! Pure: what a watch has shown, event by event.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::Resource;
use kube::core::DeserializeGuard;
use kube::runtime::watcher::Event;

/// Objects of one kind and namespace, as a watch shows them.
#[derive(Debug)]
pub struct Snapshot<K> {
    objects: BTreeMap<String, Arc<K>>,
    /// The list that is being read; it counts when it is complete.
    listing: BTreeMap<String, Arc<K>>,
    complete: bool,
}

/// What an event did.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// Nothing yet: part of a list.
    Pending,
    /// The snapshot may be another.
    Changed,
    /// An object made no sense. Its last version stays, if there is one.
    Unreadable {
        /// Name of the object.
        name: String,
        /// What is wrong with it.
        error: String,
    },
}

impl<K> Default for Snapshot<K> {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            listing: BTreeMap::new(),
            complete: false,
        }
    }
}

impl<K: Resource> Snapshot<K> {
    /// Takes over an event. `prune` drops from an object what nobody reads.
    pub fn take(&mut self, event: Event<DeserializeGuard<K>>, prune: &impl Fn(&mut K)) -> Taken {
        match event {
            Event::Init => {
                self.listing.clear();
                Taken::Pending
            }
            Event::InitApply(object) => self.list(object, prune),
            Event::InitDone => {
                self.objects = std::mem::take(&mut self.listing);
                self.complete = true;
                Taken::Changed
            }
            Event::Apply(DeserializeGuard(Ok(object))) => {
                let (name, object) = kept(object, prune);
                self.objects.insert(name, object);
                Taken::Changed
            }
            Event::Apply(DeserializeGuard(Err(invalid))) => Taken::Unreadable {
                name: invalid.metadata.name.unwrap_or_default(),
                error: invalid.error,
            },
            Event::Delete(object) => {
                let name = object.meta().name.as_deref().unwrap_or_default();
                self.objects.remove(name);
                Taken::Changed
            }
        }
    }

    fn list(&mut self, object: DeserializeGuard<K>, prune: &impl Fn(&mut K)) -> Taken {
        let invalid = match object.0 {
            Ok(object) => {
                let (name, object) = kept(object, prune);
                self.listing.insert(name, object);
                return Taken::Pending;
            }
            Err(invalid) => invalid,
        };
        let name = invalid.metadata.name.unwrap_or_default();
        let before = self.objects.get(&name);
        // An object of another UID is another object: the last one was deleted in between.
        if let Some(before) = before.filter(|b| b.meta().uid == invalid.metadata.uid) {
            self.listing.insert(name.clone(), before.clone());
        }
        Taken::Unreadable {
            name,
            error: invalid.error,
        }
    }

    /// All objects in order of name; `None` until a list was complete.
    pub fn objects(&self) -> Option<Vec<Arc<K>>> {
        self.complete
            .then(|| self.objects.values().cloned().collect())
    }
}

fn kept<K: Resource>(mut object: K, prune: &impl Fn(&mut K)) -> (String, Arc<K>) {
    object.meta_mut().managed_fields = None;
    prune(&mut object);
    let name = object.meta().name.clone().unwrap_or_default();
    (name, Arc::new(object))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use serde_json::json;

    use super::*;

    type Guard = DeserializeGuard<ConfigMap>;

    fn object(name: &str, uid: &str, data: &str) -> Guard {
        let object = json!({"metadata": {"name": name, "uid": uid}, "data": {"k": data}});
        serde_json::from_value(object).unwrap()
    }

    fn garbage(name: &str, uid: &str) -> Guard {
        let object = json!({"metadata": {"name": name, "uid": uid}, "data": "no map"});
        serde_json::from_value(object).unwrap()
    }

    fn after(events: Vec<Event<Guard>>) -> Snapshot<ConfigMap> {
        let mut snapshot = Snapshot::default();
        for event in events {
            snapshot.take(event, &|_| ());
        }
        snapshot
    }

    /// The snapshot after `events`, as `name=data` words.
    fn check(events: Vec<Event<Guard>>, expect: Option<&[&str]>) {
        let words = after(events).objects().map(|objects| {
            let word = |o: &Arc<ConfigMap>| {
                let data = &o.data.as_ref().unwrap()["k"];
                format!("{}={data}", o.metadata.name.as_deref().unwrap())
            };
            objects.iter().map(word).collect::<Vec<_>>()
        });
        let expect = expect.map(|words| words.iter().map(ToString::to_string).collect());
        assert_eq!(words, expect);
    }

    fn listed(objects: Vec<Guard>) -> Vec<Event<Guard>> {
        let mut events = vec![Event::Init];
        events.extend(objects.into_iter().map(Event::InitApply));
        events.push(Event::InitDone);
        events
    }

    #[test]
    fn nothing_is_known_before_the_first_list_is_complete() {
        check(vec![], None);
        check(
            vec![Event::Init, Event::InitApply(object("a", "1", "x"))],
            None,
        );
        check(listed(vec![]), Some(&[]));
    }

    #[test]
    fn an_interrupted_list_changes_nothing() {
        let mut events = listed(vec![object("a", "1", "x"), object("b", "2", "x")]);
        events.extend([
            Event::Init,
            Event::InitApply(object("b", "2", "y")),
            Event::Init,
        ]);
        check(events, Some(&["a=x", "b=x"]));
    }

    #[test]
    fn a_complete_list_replaces_everything() {
        let mut events = listed(vec![object("a", "1", "x"), object("b", "2", "x")]);
        events.extend(listed(vec![object("b", "2", "y")]));
        check(events, Some(&["b=y"]));
    }

    #[test]
    fn events_change_single_objects() {
        let mut events = listed(vec![object("a", "1", "x"), object("b", "2", "x")]);
        events.extend([
            Event::Apply(object("a", "1", "y")),
            Event::Delete(object("b", "2", "x")),
        ]);
        check(events, Some(&["a=y"]));
    }

    #[test]
    fn an_object_that_makes_no_sense_leaves_its_last_version_and_all_others() {
        let start = || listed(vec![object("a", "1", "x"), object("b", "2", "x")]);
        let mut updated = start();
        updated.push(Event::Apply(garbage("a", "1")));
        updated.push(Event::Apply(object("b", "2", "y")));
        check(updated, Some(&["a=x", "b=y"]));
        let mut relisted = start();
        relisted.extend(listed(vec![garbage("a", "1"), object("b", "2", "y")]));
        check(relisted, Some(&["a=x", "b=y"]));
    }

    #[test]
    fn an_object_that_makes_no_sense_is_deleted_like_any_other() {
        let start = || listed(vec![object("a", "1", "x")]);
        let mut deleted = start();
        deleted.push(Event::Delete(garbage("a", "1")));
        check(deleted, Some(&[]));
        let mut replaced = start();
        replaced.extend(listed(vec![garbage("a", "another")]));
        check(replaced, Some(&[]));
    }

    #[test]
    fn an_object_that_makes_no_sense_is_named() {
        let mut snapshot = Snapshot::<ConfigMap>::default();
        let taken = snapshot.take(Event::Apply(garbage("a", "1")), &|_| ());
        let Taken::Unreadable { name, error } = taken else {
            panic!("{taken:?}");
        };
        assert_eq!(name, "a");
        assert!(error.contains("no map"), "{error}");
    }
}
