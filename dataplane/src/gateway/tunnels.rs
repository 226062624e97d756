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
pub(super) struct Tunnels(Mutex<BTreeMap<Arc<str>, Vec<AdmittedTunnel>>>);

impl Tunnels {
    pub(super) fn add(&self, tunnel: AdmittedTunnel) {
        let mut tunnels = self.0.lock();
        let of_forwarder = tunnels.entry(Arc::clone(&tunnel.who.forwarder));
        of_forwarder.or_default().push(tunnel);
    }

    /// Forgets tunnels that are closed.
    pub(super) fn forget_closed(&self) {
        let mut tunnels = self.0.lock();
        tunnels.retain(|_, of_forwarder| {
            of_forwarder.retain(|tunnel| !tunnel.link.is_closed());
            !of_forwarder.is_empty()
        });
    }

    /// Cuts the tunnels whose key does not belong to their forwarder; how many.
    pub(super) fn cut_unless(&self, belongs: impl Fn(&PublicKey, &str) -> bool) -> usize {
        let unwanted: Vec<Link> = {
            let tunnels = self.0.lock();
            let all = tunnels.values().flatten();
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
        let tunnels = self.0.lock();
        least_loaded(tunnels.get(forwarder)?.iter().map(|tunnel| &tunnel.link))
    }

    /// How many each forwarder has that has any.
    pub(super) fn count(&self) -> BTreeMap<String, usize> {
        let tunnels = self.0.lock();
        let count = |(name, tunnels): (&Arc<str>, &Vec<_>)| (name.to_string(), tunnels.len());
        tunnels.iter().map(count).collect()
    }

    /// Asks every forwarder to open no more flows.
    pub(super) fn retire(&self) {
        for tunnel in self.0.lock().values().flatten() {
            tunnel.link.retire();
        }
    }
}
