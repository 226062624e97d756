//! From a forwarder to the external server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use tracing::debug;

use super::flows::GatewayFlow;
use super::{EgressGrant, Shared};
use crate::relay::dial::{dial_for, is_address_of_host};
use crate::relay::relay;
use crate::relay::socket::ProxiedSocket;
use crate::relay::table::Entry;
use crate::tunnel::flow::FlowStream;
use crate::tunnel::link::Incoming;
use crate::tunnel::probe::answer;
use crate::tunnel::reason::Reason;
use crate::tunnel::request::OpenRequest;
use crate::tunnel::ssh::server::Admitted;

/// Time that a forwarder has to take the answer to its probe.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Serves one flow that a forwarder asks for to its end.
pub(super) async fn serve(shared: Arc<Shared>, who: Arc<Admitted>, incoming: Incoming) {
    let began = Instant::now();
    let transferred = shared.counters.transferred();
    let Some((grant, pod)) = asked(&incoming.request) else {
        debug!(forwarder = %who.forwarder, "an ingress flow from a forwarder refused");
        incoming.refuse(Reason::Forbidden);
        return;
    };
    // Boxed: what dialling needs is not kept for as long as the connection lives.
    let served = if pod.is_some() {
        match Box::pin(shared.open(&who, grant, incoming)).await {
            Ok((socket, flow, _entry)) => relay(socket, flow, &transferred).await,
            Err(reason) => Err(reason),
        }
    } else {
        Box::pin(shared.probe(&who, grant, incoming)).await
    };
    shared.counters.ended(served);
    let (read, written) = transferred.totals();
    debug!(
        target: "extconn::audit",
        forwarder = %who.forwarder,
        pod = pod.as_deref().unwrap_or("probe"),
        source_ip = %grant.source_ip,
        destination = %grant.destination,
        sent_bytes = written,
        received_bytes = read,
        milliseconds = began.elapsed().as_millis(),
        error = served.err().map(Reason::label),
        "egress flow"
    );
}

/// What a forwarder asks for, and the pod for which; none for a probe. `None` if that is not for a
/// gateway.
fn asked(request: &OpenRequest) -> Option<(EgressGrant, Option<Box<str>>)> {
    let (source_ip, destination, pod) = match request {
        OpenRequest::Egress {
            source_ip,
            destination,
            pod,
        } => (*source_ip, *destination, Some(pod.as_str().into())),
        OpenRequest::Probe {
            source_ip,
            destination,
        } => (*source_ip, *destination, None),
        OpenRequest::Ingress { .. } => return None,
    };
    let grant = EgressGrant {
        source_ip,
        destination,
    };
    Some((grant, pod))
}

impl Shared {
    /// Connects, and says yes or no to the forwarder.
    async fn open(
        &self,
        who: &Admitted,
        grant: EgressGrant,
        incoming: Incoming,
    ) -> Result<(ProxiedSocket, FlowStream, Entry<GatewayFlow>), Reason> {
        let what = GatewayFlow::Egress {
            forwarder: Arc::clone(&who.forwarder),
            grant,
        };
        let entry = self.flows.insert(what, incoming.stream().cutter());
        match self.connect(who, grant, &incoming).await {
            Ok(socket) => Ok((socket, incoming.accept(), entry)),
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
