//! Accepts ssh connections, with limits on those that have not shown who they are.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tracing::{debug, info};

use super::server::{Admission, serve};
use super::settings::server_config;
use crate::identity::PrivateKey;
use crate::listen::accept;
use crate::tunnel::window::Budget;
use crate::workers::Workers;

/// Connections that may be in their handshake, in all.
const MAX_STRANGERS: usize = 100;
/// Connections that may be in their handshake from one address. Forwarders of a cluster may share
/// one, behind a node or a firewall.
const MAX_STRANGERS_PER_ADDRESS: usize = 20;
/// Bytes that the windows of one tunnel may grow by in sum.
const TUNNEL_BUDGET: usize = 128 * 1024 * 1024;

/// Accepts connections for as long as the listener works, which is for ever.
pub(crate) async fn accept_tunnels<A: Admission>(
    listener: TcpListener,
    host_key: PrivateKey,
    rekey_after: usize,
    admission: Arc<A>,
    budget: Arc<Budget>,
    workers: Arc<Workers>,
) {
    let config = server_config(&host_key, rekey_after);
    let strangers = Strangers::default();
    loop {
        let Some((stream, address)) = accept(&listener).await else {
            continue;
        };
        let Some(permit) = strangers.admit(address.ip()) else {
            debug!(peer = %address, "too many connections without a key");
            continue;
        };
        let (config, admission) = (Arc::clone(&config), Arc::clone(&admission));
        let budget = Arc::new(Budget::within(Arc::clone(&budget), TUNNEL_BUDGET));
        workers.idlest().spawn(async move {
            let served = match TcpStream::from_std(stream) {
                Ok(stream) => serve(config, stream, address, admission, budget, permit).await,
                Err(error) => Err(russh::Error::from(error).into()),
            };
            match served {
                Ok(()) => debug!(peer = %address, "ssh connection closed"),
                Err(error) => info!(peer = %address, %error, "ssh connection ended"),
            }
        });
    }
}

/// Connections that have not shown who they are.
#[derive(Clone, Debug, Default)]
struct Strangers(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One of them.
#[derive(Debug)]
struct Stranger {
    strangers: Strangers,
    address: IpAddr,
}

impl Strangers {
    fn admit(&self, address: IpAddr) -> Option<Stranger> {
        let mut counts = self.0.lock();
        if counts.values().sum::<usize>() >= MAX_STRANGERS {
            return None;
        }
        let count = counts.entry(address).or_default();
        if *count >= MAX_STRANGERS_PER_ADDRESS {
            return None;
        }
        *count += 1;
        Some(Stranger {
            strangers: self.clone(),
            address,
        })
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut counts = self.strangers.0.lock();
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_keep_others_out() {
        let strangers = Strangers::default();
        let flooder = IpAddr::from([203, 0, 113, 66]);
        let flood: Vec<_> = std::iter::from_fn(|| strangers.admit(flooder)).collect();
        assert_eq!(flood.len(), MAX_STRANGERS_PER_ADDRESS);
        assert!(strangers.admit(IpAddr::from([203, 0, 113, 7])).is_some());
        drop(flood);
        assert!(strangers.admit(flooder).is_some());
    }

    #[test]
    fn many_addresses_together_have_a_limit() {
        let strangers = Strangers::default();
        let all: Vec<_> = (0..=u8::MAX)
            .map_while(|n| strangers.admit(IpAddr::from([203, 0, 113, n])))
            .collect();
        assert_eq!(all.len(), MAX_STRANGERS);
        drop(all);
        assert!(strangers.0.lock().is_empty());
    }
}
