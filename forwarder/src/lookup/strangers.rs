//! Who is held, and when to ask for them: soon, when a pod gets their address, and now and then.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use extconn_agent::view;
use extconn_dataplane::forwarder::Strangers;
use futures::StreamExt;
use futures::future::join_all;
use futures::stream::select_all;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::Shared;

/// Pause before the first question: on most days the EndpointSlice comes first.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Pause before each of the others, unless a pod gets the address.
const PAUSE: Duration = Duration::from_secs(1);

/// Pause, while somebody is held, before each look for pods that are on their way.
const COMING_PAUSE: Duration = Duration::from_millis(500);

/// Namespaces with which the pauses are as they are above.
const FEW: usize = 4;

/// Pods are followed for so long after the last stranger came or went.
const LINGER: Duration = Duration::from_secs(30);

/// Pause before pods are followed again when that has ended.
const FOLLOW_PAUSE: Duration = Duration::from_secs(1);

/// Addresses that are asked for.
#[derive(Clone, Default)]
pub struct Asked(Arc<Mutex<HashMap<Ipv4Addr, Asking>>>);

struct Asking {
    now: Arc<Notify>,
    _task: AbortOnDropHandle<()>,
}

impl Asked {
    /// Has an address asked for at once, if it is held.
    fn ask_now(&self, address: Ipv4Addr) {
        if let Some(asking) = self.0.lock().get(&address) {
            asking.now.notify_one();
        }
    }

    fn ask_for_all_now(&self) {
        self.0
            .lock()
            .values()
            .for_each(|asking| asking.now.notify_one());
    }
}

fn anybody(strangers: &Strangers) -> bool {
    strangers.addresses().next().is_some()
}

impl Shared {
    /// Has one task for each address that is held.
    pub async fn ask_for_all(
        self: Arc<Self>,
        asked: Asked,
        mut strangers: watch::Receiver<Strangers>,
    ) {
        loop {
            let held: HashSet<_> = strangers.borrow_and_update().addresses().collect();
            {
                let mut asked = asked.0.lock();
                asked.retain(|address, _| held.contains(address));
                for address in held {
                    asked.entry(address).or_insert_with(|| self.asking(address));
                }
            }
            if strangers.changed().await.is_err() {
                return;
            }
        }
    }

    fn asking(self: &Arc<Self>, address: Ipv4Addr) -> Asking {
        let now = Arc::new(Notify::new());
        let task = tokio::spawn(Arc::clone(self).ask_for(address, Arc::clone(&now)));
        Asking {
            now,
            _task: AbortOnDropHandle::new(task),
        }
    }

    /// Asks again and again. Ends with the last connection that is held.
    async fn ask_for(self: Arc<Self>, address: Ipv4Addr, now: Arc<Notify>) {
        let mut pause = FIRST_PAUSE;
        loop {
            // Over or not: both are reasons to ask.
            let _ = timeout(pause, now.notified()).await;
            pause = self.pause(PAUSE);
            self.ask(address).await;
        }
    }

    /// Follows the pods of the sources' namespaces while somebody is held, to ask for them when they
    /// get their addresses.
    pub async fn follow_pods(
        self: Arc<Self>,
        asked: Asked,
        mut strangers: watch::Receiver<Strangers>,
    ) {
        let mut following: Option<(BTreeSet<String>, AbortOnDropHandle<()>)> = None;
        loop {
            sleep(FIRST_PAUSE).await;
            let somebody = anybody(&strangers.borrow_and_update());
            let namespaces = self.questions.namespaces();
            let followed = following.as_ref().map(|(followed, _)| followed);
            if somebody && followed != Some(&namespaces) {
                let follow = Arc::clone(&self).follow(namespaces.clone(), asked.clone());
                let task = AbortOnDropHandle::new(tokio::spawn(follow));
                following = Some((namespaces, task));
            }
            match timeout(LINGER, strangers.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return,
                Err(_) if somebody => {}
                Err(_) => following = None,
            }
        }
    }

    async fn follow(self: Arc<Self>, namespaces: BTreeSet<String>, asked: Asked) {
        loop {
            let followed = namespaces.iter().map(|n| self.questions.addresses(n));
            let mut addresses = select_all(join_all(followed).await.into_iter().flatten());
            // They may have got theirs before.
            asked.ask_for_all_now();
            while let Some(address) = addresses.next().await {
                asked.ask_now(address);
            }
            sleep(self.pause(FOLLOW_PAUSE)).await;
        }
    }

    /// A pause that is longer the more namespaces there are to ask about.
    fn pause(&self, of_few: Duration) -> Duration {
        let namespaces = self.questions.namespaces().len();
        of_few
            * u32::try_from(namespaces.div_ceil(FEW))
                .unwrap_or(u32::MAX)
                .max(1)
    }

    /// Notes when pods are on their way, while somebody is held.
    pub async fn look_for_coming(self: Arc<Self>, mut strangers: watch::Receiver<Strangers>) {
        while strangers.wait_for(anybody).await.is_ok() {
            sleep(self.pause(COMING_PAUSE)).await;
            let still = anybody(&strangers.borrow());
            // No answer is as good as no.
            if still && self.questions.anybody_coming().await.unwrap_or(false) {
                *self.coming.lock() = Some(Instant::now());
                view::ring(&self.bell);
            }
        }
    }
}
