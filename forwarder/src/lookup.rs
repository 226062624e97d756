//! Asks the API server whose an address is while connections from it are held: of pods that come
//! many at once, EndpointSlices are written seconds late.
//! See docs/decisions/0078-pods-are-looked-up.md.

mod answer;
mod question;
mod strangers;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use extconn_agent::view::{self, Bell};
use extconn_dataplane::forwarder::Strangers;
use kube::Client;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;

use crate::build::Source;
use crate::metrics::Meters;
use crate::peers::Found;
use question::Questions;
use strangers::Asked;

/// Pause between two looks whether those who were found are still there.
const RECHECK: Duration = Duration::from_secs(10);

/// What has been found, and the tasks that ask.
pub struct Lookups {
    shared: Arc<Shared>,
    _tasks: [AbortOnDropHandle<()>; 4],
}

struct Shared {
    questions: Questions,
    bell: Bell,
    found: Mutex<BTreeMap<Ipv4Addr, Found>>,
    /// When pods were last seen to be on their way.
    coming: Mutex<Option<Instant>>,
}

impl Lookups {
    /// Begins to ask for whoever is held. `bell` rings when there is something new. `client` bounds
    /// how much is asked.
    pub fn start(
        client: Client,
        bell: Bell,
        meters: Arc<Meters>,
        strangers: watch::Receiver<Strangers>,
    ) -> Self {
        let shared = Arc::new(Shared {
            questions: Questions::new(client, meters),
            bell,
            found: Mutex::default(),
            coming: Mutex::default(),
        });
        let asked = Asked::default();
        let tasks = [
            tokio::spawn(Arc::clone(&shared).ask_for_all(asked.clone(), strangers.clone())),
            tokio::spawn(Arc::clone(&shared).follow_pods(asked, strangers.clone())),
            tokio::spawn(Arc::clone(&shared).look_for_coming(strangers)),
            tokio::spawn(Arc::clone(&shared).recheck()),
        ];
        Self {
            shared,
            _tasks: tasks.map(AbortOnDropHandle::new),
        }
    }

    /// Asks for pods of these Services from now on.
    pub fn follow(&self, sources: &[Source]) {
        self.shared.questions.follow(sources);
    }

    /// Who has been found and not been forgotten, by address.
    pub fn found(&self) -> BTreeMap<Ipv4Addr, Found> {
        self.shared.found.lock().clone()
    }

    /// When pods without an address were last seen, if they ever were: one of them may be who is held.
    pub fn coming(&self) -> Option<Instant> {
        *self.shared.coming.lock()
    }

    /// Forgets pods that are known otherwise now.
    pub fn forget(&self, addresses: impl IntoIterator<Item = Ipv4Addr>) {
        let mut found = self.shared.found.lock();
        for address in addresses {
            found.remove(&address);
        }
    }
}

impl Shared {
    /// Asks whose an address is, and notes who.
    async fn ask(&self, address: Ipv4Addr) {
        let Ok(Some(found)) = self.questions.whose(address).await else {
            return;
        };
        debug!(%address, pod = %found.pod, "found before an EndpointSlice lists it");
        {
            let mut all = self.found.lock();
            let before = all.get(&address);
            if before.is_some_and(|before| before.asked > found.asked) {
                return;
            }
            all.insert(address, found);
        }
        view::ring(&self.bell);
    }

    /// Forgets pods that are gone, or behind another Service, before any EndpointSlice listed them.
    async fn recheck(self: Arc<Self>) {
        loop {
            sleep(RECHECK).await;
            let all = self.found.lock().clone();
            for (address, before) in all {
                // No answer is none: what is known stays.
                let Ok(now) = self.questions.again(&before, address).await else {
                    continue;
                };
                if now.is_some_and(|now| now.uid == before.uid && now.service == before.service) {
                    continue;
                }
                let mut found = self.found.lock();
                if found.get(&address) == Some(&before) {
                    found.remove(&address);
                    view::ring(&self.bell);
                }
            }
        }
    }
}
