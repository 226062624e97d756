//! Who came to the external server, in its own words.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;

use crate::AccessLog;

/// Everybody who has connected since `mark`, in order, one entry for each address.
///
/// # Errors
/// The log cannot be read.
pub fn peers_since(mark: AccessLog) -> Result<Vec<IpAddr>> {
    let mut peers: Vec<IpAddr> = mark
        .since()?
        .iter()
        .map(|access| access.peer.ip())
        .collect();
    peers.dedup();
    Ok(peers)
}

/// The addresses as a person reads them.
pub fn list(peers: &[IpAddr]) -> String {
    match peers {
        [] => "nobody".into(),
        _ => peers
            .iter()
            .map(IpAddr::to_string)
            .collect::<Vec<_>>()
            .join(", "),
    }
}

/// A word that no other request holds, to tell requests apart in logs.
pub fn unique_word() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("request-{}-{count}", std::process::id())
}
