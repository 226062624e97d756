//! How an end goes away without a loss.

use std::time::Duration;

use tracing::warn;

use super::table::FlowTable;
use crate::tunnel::link::Link;
use crate::tunnel::reason::Reason;

/// Lets flows finish for at most `within`, those too that the other ends opened before they knew
/// that this one goes away, then resets the rest. `links` are the tunnels that are up.
pub(crate) async fn drain<K>(
    links: impl Fn() -> Vec<Link>,
    flows: &FlowTable<K>,
    within: Duration,
) {
    let finished = async {
        loop {
            let links = links();
            // Not only the first: a tunnel may just have been coming up.
            let told = links.iter().filter(|link| link.retire()).count();
            for link in &links {
                link.heard().await;
            }
            flows.emptied().await;
            for link in &links {
                link.emptied().await;
                // Their last bytes are there, and not only on their way into a socket.
                link.heard().await;
            }
            if told == 0 {
                return;
            }
        }
    };
    if tokio::time::timeout(within, finished).await.is_err() {
        let cut = flows.cut_unless(|_| false, Reason::Draining);
        warn!(flows = cut, "flows were still open at the end");
        flows.emptied().await;
    }
}
