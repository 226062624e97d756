//! The tunnels of admitted forwarders.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::identity::PublicKey;
use crate::tunnel::link::Link;
use crate::tunnel::pool::least_loaded;
use crate::tunnel::ssh::server::AdmittedTunnel;

/// The tunnels that are up, by the forwarder's name.
#[derive(Debug, Default)]
pub(super) struct Tunnels(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    up: BTreeMap<Arc<str>, Vec<AdmittedTunnel>>,
    /// No more are added.
    retired: bool,
}

impl Tunnels {
    /// Adds one, unless the gateway is going away: it would come up after the others were told.
    pub(super) fn add(&self, tunnel: AdmittedTunnel) -> bool {
        let mut inner = self.0.lock();
        if inner.retired {
            return false;
        }
        let of_forwarder = inner.up.entry(Arc::clone(&tunnel.who.forwarder));
        of_forwarder.or_default().push(tunnel);
        true
    }

    /// Forgets tunnels that are closed.
    pub(super) fn forget_closed(&self) {
        self.0.lock().up.retain(|_, of_forwarder| {
            of_forwarder.retain(|tunnel| !tunnel.link.is_closed());
            !of_forwarder.is_empty()
        });
    }

    /// Cuts the tunnels whose key does not belong to their forwarder; how many.
    pub(super) fn cut_unless(&self, belongs: impl Fn(&PublicKey, &str) -> bool) -> usize {
        let unwanted: Vec<Link> = {
            let inner = self.0.lock();
            let all = inner.up.values().flatten();
            all.filter(|tunnel| !belongs(&tunnel.who.key, &tunnel.who.forwarder))
                .map(|tunnel| tunnel.link.clone())
                .collect()
        };
        for link in &unwanted {
            link.close("the key has been withdrawn");
        }
        unwanted.len()
    }

    /// Of a forwarder's tunnels, the one that carries the fewest flows.
    pub(super) fn least_loaded(&self, forwarder: &str) -> Option<Link> {
        let inner = self.0.lock();
        least_loaded(inner.up.get(forwarder)?.iter().map(|tunnel| &tunnel.link))
    }

    /// How many each forwarder has that has any.
    pub(super) fn count(&self) -> BTreeMap<String, usize> {
        let inner = self.0.lock();
        let count = |(name, tunnels): (&Arc<str>, &Vec<_>)| (name.to_string(), tunnels.len());
        inner.up.iter().map(count).collect()
    }

    /// Takes no more tunnels; those that are up.
    pub(super) fn retire(&self) -> Vec<Link> {
        let mut inner = self.0.lock();
        inner.retired = true;
        let all = inner.up.values().flatten();
        all.map(|tunnel| tunnel.link.clone()).collect()
    }
}
