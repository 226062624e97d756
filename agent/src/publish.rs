//! Writes what an agent tells into the status of objects, and keeps it there.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::pending;
use std::time::Duration;

use kube::api::{Patch, PatchParams};
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, warn};

use crate::logs::causes;
use crate::pace::Pace;

/// Longest wait for an answer of the API server.
const DEADLINE: Duration = Duration::from_secs(10);

/// What an agent tells about each object, by name.
pub type Told<T> = BTreeMap<String, T>;

/// What the objects that exist say of it: `None` if nothing.
pub type Heard<T> = BTreeMap<String, Option<T>>;

/// Sends `value` unless it is there already; whether it was sent.
pub fn send_if_changed<T: PartialEq>(tx: &watch::Sender<T>, value: T) -> bool {
    tx.send_if_modified(|current| {
        let changed = *current != value;
        if changed {
            *current = value;
        }
        changed
    })
}

/// Writes status by server-side apply under one field manager.
#[derive(Clone)]
pub struct Publisher<K> {
    api: Api<K>,
    field_manager: String,
}

impl<K> Publisher<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    /// Writes as `field_manager`, which must be nobody else's.
    pub fn new(api: Api<K>, field_manager: impl Into<String>) -> Self {
        Self {
            api,
            field_manager: field_manager.into(),
        }
    }

    /// Keeps the objects' status as `told`, whoever changes it, until a channel closes.
    ///
    /// `heard` is what a watch last saw; an object that is not in it is not written. `status`
    /// makes the status to apply.
    pub async fn keep<T, S>(
        self,
        mut told: watch::Receiver<Told<T>>,
        mut heard: watch::Receiver<Heard<T>>,
        status: impl Fn(&T) -> S,
    ) where
        T: Clone + PartialEq,
        S: Serialize,
    {
        heard.mark_changed();
        // As heard, or as written since.
        let mut believed = Heard::new();
        let mut paces: BTreeMap<String, Pace> = BTreeMap::new();
        loop {
            if heard.has_changed().unwrap_or_default() {
                believed.clone_from(&heard.borrow_and_update());
                paces.retain(|name, _| believed.contains_key(name));
            }
            let wanted = told.borrow_and_update().clone();
            let stale = wanted.iter().filter(|(name, value)| {
                believed
                    .get(*name)
                    .is_some_and(|b| b.as_ref() != Some(value))
            });
            let next = stale.min_by_key(|(name, _)| paces.get(*name).map(Pace::due));
            let due = next.map(|(name, _)| paces.get(name).map_or_else(Instant::now, Pace::due));
            if let (Some((name, value)), Some(due)) = (next, due)
                && due <= Instant::now()
            {
                match self.write(name, &status(value)).await {
                    Ok(()) => drop(believed.insert(name.clone(), Some(value.clone()))),
                    Err(error) => warn!(name, error, "cannot publish status, trying again"),
                }
                paces.entry(name.clone()).or_default().note();
                continue;
            }
            let wake = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                changed = told.changed() => if changed.is_err() { return },
                // The change is taken over at the top, so it must not be marked as seen here.
                changed = heard.changed() => match changed {
                    Ok(()) => heard.mark_changed(),
                    Err(_) => return,
                },
                () = wake => {}
            }
        }
    }

    /// Applies `status` to the object `name` once.
    ///
    /// Errors in words: the object is gone, the API server refuses or does not answer.
    pub async fn write(&self, name: &str, status: &impl Serialize) -> Result<(), String> {
        let object = serde_json::json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            "metadata": {"name": name},
            "status": status,
        });
        debug!(name, "writing status");
        let params = PatchParams::apply(&self.field_manager).force();
        let patch = Patch::Apply(&object);
        match timeout(DEADLINE, self.api.patch_status(name, &params, &patch)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(causes(&error)),
            Err(_) => Err(format!(
                "no answer of the API server in {} s",
                DEADLINE.as_secs()
            )),
        }
    }
}

#[cfg(test)]
mod tests;
