//! From a forwarder to the external server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use tracing::debug;

use super::flows::GatewayFlow;
use super::{EgressGrant, Shared};
use crate::relay::dial::{dial_for, is_address_of_host};
use crate::relay::socket::ProxiedSocket;
use crate::relay::{Transferred, relay};
use crate::tunnel::link::Incoming;
use crate::tunnel::probe::answer;
use crate::tunnel::reason::Reason;
use crate::tunnel::request::OpenRequest;
use crate::tunnel::ssh::server::Admitted;

/// Time that a forwarder has to take the answer to its probe.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Serves one flow that a forwarder asks for to its end.
pub(super) async fn serve(shared: Arc<Shared>, who: Admitted, incoming: Incoming) {
    let began = Instant::now();
    let transferred = shared.counters.transferred();
    let (grant, pod, served) = match incoming.request.clone() {
        OpenRequest::Egress {
            source_ip,
            destination,
            pod,
        } => {
            let grant = EgressGrant {
                source_ip,
                destination,
            };
            let served = shared.egress(&who, grant, incoming, &transferred).await;
            (grant, pod, served)
        }
        OpenRequest::Probe {
            source_ip,
            destination,
        } => {
            let grant = EgressGrant {
                source_ip,
                destination,
            };
            let served = shared.probe(&who, grant, incoming).await;
            (grant, "probe".to_owned(), served)
        }
        OpenRequest::Ingress { .. } => {
            debug!(forwarder = %who.forwarder, "an ingress flow from a forwarder refused");
            incoming.refuse(Reason::Forbidden);
            return;
        }
    };
    shared.counters.ended(served);
    let (read, written) = transferred.totals();
    debug!(
        target: "extconn::audit",
        forwarder = %who.forwarder,
        %pod,
        source_ip = %grant.source_ip,
        destination = %grant.destination,
        sent_bytes = written,
        received_bytes = read,
        milliseconds = began.elapsed().as_millis(),
        error = served.err().map(Reason::label),
        "egress flow"
    );
}

impl Shared {
    async fn egress(
        &self,
        who: &Admitted,
        grant: EgressGrant,
        incoming: Incoming,
        transferred: &Transferred,
    ) -> Result<(), Reason> {
        let what = GatewayFlow::Egress {
            forwarder: Arc::clone(&who.forwarder),
            grant,
        };
        let _entry = self.flows.insert(what, incoming.stream().cutter());
        match self.connect(who, grant, &incoming).await {
            Ok(socket) => relay(socket, incoming.accept(), transferred).await,
            Err(reason) => {
                incoming.refuse(reason);
                Err(reason)
            }
        }
    }

    async fn probe(
        &self,
        who: &Admitted,
        grant: EgressGrant,
        incoming: Incoming,
    ) -> Result<(), Reason> {
        let socket = match self.connect(who, grant, &incoming).await {
            Ok(socket) => socket,
            Err(reason) => {
                incoming.refuse(reason);
                return Err(reason);
            }
        };
        let bound = socket.bound().ok_or(Reason::Failed)?;
        socket.close_complete();
        // Whoever does not take the answer does not keep the flow.
        let answered = timeout(ANSWER_TIMEOUT, answer(&incoming.accept(), bound)).await;
        answered.unwrap_or(Err(Reason::TimedOut))
    }

    /// Connects to the external server, if that is allowed at this moment.
    async fn connect(
        &self,
        who: &Admitted,
        grant: EgressGrant,
        incoming: &Incoming,
    ) -> Result<ProxiedSocket, Reason> {
        self.policy.load().egress(&who.forwarder, &grant)?;
        if is_address_of_host(*grant.destination.ip()) {
            return Err(Reason::Forbidden);
        }
        let source_ip = Some(grant.source_ip);
        dial_for(incoming.stream(), source_ip, grant.destination).await
    }
}
