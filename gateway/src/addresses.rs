//! The host's addresses: which there are, and those that the gateway assigns itself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use extconn_agent::view::{self, Bell};
use futures::{StreamExt, TryStreamExt};
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};
use rtnetlink::{Handle, MulticastGroup, new_multicast_connection};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::{announce, state_files};

/// An address that could not be read, assigned or withdrawn.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// The kernel does not answer.
    #[error("read the addresses of this host: {0}")]
    Read(String),
    /// There is no interface of this name.
    #[error("there is no interface {0}")]
    NoInterface(String),
    /// The kernel said no.
    #[error("{action} {address} on {interface}: {reason}")]
    Refused {
        /// What was tried.
        action: &'static str,
        /// The address.
        address: Ipv4Addr,
        /// The interface.
        interface: String,
        /// What the kernel said.
        reason: String,
    },
    /// The record of what was assigned could not be kept.
    #[error(transparent)]
    Record(#[from] state_files::FileError),
}

/// The host's IPv4 addresses, followed as they change.
pub struct Addresses {
    handle: Handle,
    present_tx: Arc<watch::Sender<BTreeSet<Ipv4Addr>>>,
    tasks: [JoinHandle<()>; 2],
    record: PathBuf,
    /// The addresses that this gateway assigned, and the interface of each.
    assigned: BTreeMap<Ipv4Addr, String>,
}

impl Drop for Addresses {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Addresses {
    /// Begins to follow; `bell` rings at changes. `record` is the file that remembers what was
    /// assigned, so that it is withdrawn even after a crash.
    ///
    /// # Errors
    /// The kernel does not tell the addresses.
    pub async fn follow(record: PathBuf, bell: Bell) -> Result<Self, AddressError> {
        let read = |e: &dyn std::fmt::Display| AddressError::Read(e.to_string());
        let (connection, handle, mut events) =
            new_multicast_connection(&[MulticastGroup::Ipv4Ifaddr]).map_err(|e| read(&e))?;
        let connection = tokio::spawn(connection);
        let present_tx = Arc::new(watch::Sender::new(present(&handle).await?));
        let assigned = state_files::read_json(&record)?.unwrap_or_default();
        let (follower, followed_tx) = (handle.clone(), present_tx.clone());
        let events = tokio::spawn(async move {
            while events.next().await.is_some() {
                match refresh(&follower, &followed_tx).await {
                    Ok(false) => {}
                    Ok(true) => view::ring(&bell),
                    Err(error) => warn!(%error, "addresses stay as last known"),
                }
            }
        });
        Ok(Self {
            handle,
            present_tx,
            tasks: [connection, events],
            record,
            assigned,
        })
    }

    /// The host's IPv4 addresses.
    pub fn present(&self) -> BTreeSet<Ipv4Addr> {
        self.present_tx.borrow().clone()
    }

    /// Assigns an address that is not there, as the only one of its network (`/32`), and
    /// announces it to the neighbours.
    ///
    /// # Errors
    /// The interface is missing, or the kernel said no.
    pub async fn assign(&mut self, address: Ipv4Addr, interface: &str) -> Result<(), AddressError> {
        let index = self.index(interface).await?;
        // Before it is done: a crash in between must not leave an address that nobody withdraws.
        self.assigned.insert(address, interface.to_owned());
        state_files::write_json(&self.record, &self.assigned)?;
        let request = self.handle.address().add(index, IpAddr::V4(address), 32);
        request.execute().await.map_err(|e| AddressError::Refused {
            action: "assign",
            address,
            interface: interface.to_owned(),
            reason: e.to_string(),
        })?;
        info!(%address, interface, "assigned source IP");
        tokio::spawn(announce::announce(address, interface.to_owned()));
        // The library takes the event of our own request for an answer to it.
        refresh(&self.handle, &self.present_tx).await?;
        Ok(())
    }

    /// Withdraws every address that this gateway assigned, and says which it could not.
    pub async fn withdraw(&mut self) -> Vec<AddressError> {
        let mut errors = vec![];
        let mut left = BTreeMap::new();
        for (address, interface) in std::mem::take(&mut self.assigned) {
            match self.withdraw_one(address, &interface).await {
                Ok(()) => info!(%address, interface, "withdrew source IP"),
                Err(error) => {
                    errors.push(error);
                    left.insert(address, interface);
                }
            }
        }
        self.assigned = left;
        let recorded = state_files::write_json(&self.record, &self.assigned);
        errors.extend(recorded.err().map(AddressError::from));
        errors
    }

    async fn withdraw_one(&self, address: Ipv4Addr, interface: &str) -> Result<(), AddressError> {
        let index = match self.index(interface).await {
            Ok(index) => index,
            // The addresses went with the interface.
            Err(AddressError::NoInterface(_)) => return Ok(()),
            Err(error) => return Err(error),
        };
        let messages = messages(&self.handle).await?;
        let ours = messages.into_iter().filter(|m| {
            m.header.index == index && m.header.prefix_len == 32 && local(m) == Some(address)
        });
        for message in ours {
            let request = self.handle.address().del(message);
            request.execute().await.map_err(|e| AddressError::Refused {
                action: "withdraw",
                address,
                interface: interface.to_owned(),
                reason: e.to_string(),
            })?;
        }
        Ok(())
    }

    async fn index(&self, interface: &str) -> Result<u32, AddressError> {
        let links = self.handle.link().get().match_name(interface).execute();
        // The kernel answers "no such device", and nothing else can be wrong with the question.
        let link = links.into_future().await.0.and_then(Result::ok);
        link.map(|l| l.header.index)
            .ok_or_else(|| AddressError::NoInterface(interface.to_owned()))
    }
}

/// Reads the addresses again; whether they changed.
async fn refresh(
    handle: &Handle,
    present_tx: &watch::Sender<BTreeSet<Ipv4Addr>>,
) -> Result<bool, AddressError> {
    let addresses = present(handle).await?;
    Ok(present_tx.send_if_modified(|known| {
        let changed = *known != addresses;
        if changed {
            *known = addresses;
        }
        changed
    }))
}

async fn present(handle: &Handle) -> Result<BTreeSet<Ipv4Addr>, AddressError> {
    let messages = messages(handle).await?;
    Ok(messages.iter().filter_map(local).collect())
}

async fn messages(handle: &Handle) -> Result<Vec<AddressMessage>, AddressError> {
    let messages = handle.address().get().execute();
    let messages: Vec<_> = messages
        .try_collect()
        .await
        .map_err(|e| AddressError::Read(e.to_string()))?;
    let v4 = |m: &AddressMessage| m.header.family == AddressFamily::Inet;
    Ok(messages.into_iter().filter(v4).collect())
}

/// The host's own address of the two ends that a point-to-point interface has.
fn local(message: &AddressMessage) -> Option<Ipv4Addr> {
    message.attributes.iter().find_map(|a| match a {
        AddressAttribute::Local(IpAddr::V4(address)) => Some(*address),
        _ => None,
    })
}
