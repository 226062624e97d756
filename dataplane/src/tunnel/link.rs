//! Many flows over one ordered byte stream, each with its own window, so that one that is not read
//! holds up nobody. Knows nothing of ssh: bytes come in through [`Link::on_bytes`], and what goes
//! out is fetched by a writer when the socket has room, the urgent first.

mod table;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::decoder::{DecodeError, Decoder, Frame};
use super::flow::{Flow, FlowStream};
use super::frame::{COMMON_PACKET_LEN, FlowId, HEADER_LEN, Kind, MAX_PACKET_LEN};
use super::outbox::{Outbox, OutboxFull};
use super::reason::Reason;
use super::request::OpenRequest;
use super::window::{Budget, Overrun};
use table::Table;

/// Flows that may be open in one tunnel.
pub const MAX_FLOWS: usize = 65_536;

/// Which end of the ssh connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The one that dialled.
    Dialler,
    /// The one that was dialled.
    Listener,
}

/// What the other end did that it must not. The tunnel ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProtocolError {
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("flow {flow}: {overrun}")]
    Overrun { flow: FlowId, overrun: Overrun },
    #[error("flow {0}: more after its end")]
    DataAfterFinish(FlowId),
    #[error("flow {0}: window beyond 32 bits")]
    WindowTooLarge(FlowId),
    #[error("flow {0} opened by the wrong end or twice")]
    OpenedWrongly(FlowId),
    #[error("{0}")]
    NotReading(#[from] OutboxFull),
}

/// A flow that the other end asks for. Dropping it refuses.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) request: OpenRequest,
    stream: FlowStream,
}

impl Incoming {
    /// Says yes.
    pub(crate) fn accept(self) -> FlowStream {
        if let Some(link) = self.stream.0.link.upgrade() {
            link.control(Kind::Reply, self.stream.0.id, &[0]);
        }
        self.stream
    }

    /// Says no.
    pub(crate) fn refuse(self, reason: Reason) {
        if let Some(link) = self.stream.0.link.upgrade() {
            link.end(&self.stream.0, Kind::Reply, reason);
        }
    }

    /// The flow, before it is answered.
    pub(crate) fn stream(&self) -> &FlowStream {
        &self.stream
    }
}

/// Takes the flows that the other end asks for; must not block.
pub(crate) type OnIncoming = Box<dyn Fn(Incoming) + Send + Sync>;

/// One end of a tunnel.
#[derive(Clone)]
pub(crate) struct Link(Arc<LinkShared>);

pub(crate) struct LinkShared {
    side: Side,
    worker: Handle,
    table: Mutex<Table>,
    decoder: Mutex<Decoder>,
    outbox: Mutex<Outbox>,
    output: Notify,
    /// No flow is left.
    emptied: Notify,
    /// The latest ping that has been answered, by its payload.
    answered_tx: watch::Sender<u64>,
    on_incoming: OnIncoming,
    budget: Arc<Budget>,
    /// Most bytes of a flow in one frame.
    max_data_len: AtomicU32,
    started: Instant,
    /// Nanoseconds since `started` at which bytes came last.
    heard_at: AtomicU64,
    /// Nanoseconds, 0 while unknown.
    round_trip: AtomicU64,
    /// This end is going away.
    going_away: AtomicBool,
    closed: CancellationToken,
    why_closed: OnceLock<String>,
}

impl Link {
    /// A tunnel of the worker on which this is called.
    pub(crate) fn new(side: Side, budget: Arc<Budget>, on_incoming: OnIncoming) -> Self {
        Self(Arc::new(LinkShared {
            side,
            worker: Handle::current(),
            table: Mutex::default(),
            decoder: Mutex::default(),
            outbox: Mutex::default(),
            output: Notify::new(),
            emptied: Notify::new(),
            answered_tx: watch::Sender::new(0),
            on_incoming,
            budget,
            max_data_len: AtomicU32::new(data_len(COMMON_PACKET_LEN)),
            started: Instant::now(),
            heard_at: AtomicU64::new(0),
            round_trip: AtomicU64::new(0),
            going_away: AtomicBool::new(false),
            closed: CancellationToken::new(),
            why_closed: OnceLock::new(),
        }))
    }

    /// Says how large an ssh packet the other end takes. Flows that are opened later fill it.
    pub(crate) fn set_packet_len(&self, bytes: usize) {
        let len = data_len(bytes);
        self.0.max_data_len.store(len, Ordering::Relaxed);
    }

    /// Where the tunnel lives, and its flows had better.
    pub(crate) fn worker(&self) -> &Handle {
        &self.0.worker
    }

    /// Asks the other end for a flow. Bytes can be sent at once, before it has answered.
    ///
    /// # Errors
    /// The tunnel is closed or full, or its other end is going away ([`Reason::Draining`]): take
    /// another.
    pub(crate) fn open(&self, request: &OpenRequest) -> Result<FlowStream, Reason> {
        let mut payload = Vec::with_capacity(64);
        request.write_to(&mut payload);
        let mut table = self.0.table.lock();
        if table.closed {
            return Err(Reason::TunnelLost);
        }
        if table.retired {
            return Err(Reason::Draining);
        }
        let id = table.free_id(self.0.side).ok_or(Reason::Exhausted)?;
        let link = Arc::downgrade(&self.0);
        let flow = self.0.flow_of(id, link, true);
        table.flows.insert(id, Arc::clone(&flow));
        // While the table is locked: an end that goes away is answered after what was opened.
        self.0.control(Kind::Open, id, &payload);
        Ok(FlowStream(flow))
    }

    /// Takes bytes as they come. Never waits for anything.
    ///
    /// # Errors
    /// The other end broke the protocol: close the tunnel.
    pub(crate) fn on_bytes(&self, packet: &Bytes) -> Result<(), ProtocolError> {
        self.0.heard_at.store(self.0.now(), Ordering::Relaxed);
        let mut bytes: &[u8] = packet;
        let mut decoder = self.0.decoder.lock();
        while let Some(frame) = decoder.next(&mut bytes)? {
            self.0.on_frame(packet, frame)?;
        }
        Ok(())
    }

    /// What goes out next, at most about 64 KiB; `None` when nothing does.
    pub(crate) fn next_output(&self) -> Option<Bytes> {
        let finished = &mut Vec::new();
        let output = self.0.outbox.lock().next(finished);
        for flow in finished {
            self.0.forget_if_over(flow);
        }
        output
    }

    /// Waits until something may go out. One task at a time.
    pub(crate) async fn output(&self) {
        self.0.output.notified().await;
    }

    /// Says how long a packet and its acknowledgement take on an idle path.
    pub(crate) fn set_round_trip(&self, round_trip: Duration) {
        let nanoseconds = u64::try_from(round_trip.as_nanos()).unwrap_or(u64::MAX);
        self.0.round_trip.store(nanoseconds, Ordering::Relaxed);
    }

    /// Asks the other end for a sign of life.
    pub(crate) fn ping(&self) {
        self.0.control(Kind::Ping, 0, &self.0.now().to_be_bytes());
    }

    /// Time since bytes came last.
    pub(crate) fn silence(&self) -> Duration {
        let heard_at = Duration::from_nanos(self.0.heard_at.load(Ordering::Relaxed));
        self.0.started.elapsed().saturating_sub(heard_at)
    }

    /// Asks the other end to open no more flows; whether it had not been asked before.
    pub(crate) fn retire(&self) -> bool {
        let first = !self.0.going_away.swap(true, Ordering::Relaxed);
        if first {
            self.0.control(Kind::Retire, 0, &[]);
        }
        first
    }

    /// Waits until the other end has taken in all that went out so far. What it said before it did
    /// has then arrived here.
    pub(crate) async fn heard(&self) {
        let mut answered_rx = self.0.answered_tx.subscribe();
        let asked = self.0.now();
        self.0.control(Kind::Ping, 0, &asked.to_be_bytes());
        tokio::select! {
            _ = answered_rx.wait_for(|answered| *answered >= asked) => {}
            () = self.closed() => {}
        }
    }

    /// Waits until no flow is left, and all that they sent goes out.
    pub(crate) async fn emptied(&self) {
        loop {
            let emptied = self.0.emptied.notified();
            if self.flows() == 0 {
                return;
            }
            tokio::select! {
                () = emptied => {}
                () = self.closed() => return,
            }
        }
    }

    /// Flows open, unless the tunnel is closed or its other end is going away.
    pub(crate) fn load(&self) -> Option<usize> {
        let table = self.0.table.lock();
        (!table.closed && !table.retired).then_some(table.flows.len())
    }

    /// Cuts every flow and refuses others. Only the first reason counts.
    pub(crate) fn close(&self, why: impl Into<String>) {
        self.0.close(why.into());
    }

    /// Waits for the end of the tunnel.
    pub(crate) async fn closed(&self) {
        self.0.closed.cancelled().await;
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.closed.is_cancelled()
    }

    /// Why the tunnel ended, once it did.
    pub(crate) fn why_closed(&self) -> Option<&str> {
        self.0.why_closed.get().map(String::as_str)
    }

    /// Flows open.
    pub(crate) fn flows(&self) -> usize {
        self.0.table.lock().flows.len()
    }
}

/// Most bytes of a flow in one frame, if the other end takes ssh packets of so many bytes.
fn data_len(packet: usize) -> u32 {
    let packet = packet.clamp(COMMON_PACKET_LEN, MAX_PACKET_LEN);
    u32::try_from(packet - HEADER_LEN).expect("a packet has less than 64 KiB")
}

impl LinkShared {
    fn on_frame(self: &Arc<Self>, packet: &Bytes, frame: Frame<'_>) -> Result<(), ProtocolError> {
        match frame {
            Frame::Open(id, request) => self.on_open(id, request)?,
            Frame::Reply(id, Ok(())) => {
                if let Some(flow) = self.flow(id) {
                    flow.on_accepted();
                }
            }
            Frame::Reply(id, Err(reason)) | Frame::Reset(id, reason) => {
                if let Some(flow) = self.forget(id) {
                    flow.cut(reason);
                }
            }
            Frame::Data(id, piece) => {
                return self
                    .flow(id)
                    .map_or(Ok(()), |flow| flow.on_data(packet, piece));
            }
            Frame::Finish(id) => {
                if let Some(flow) = self.flow(id)
                    && flow.on_finish()?
                {
                    self.forget(id);
                }
            }
            Frame::Window(id, bytes) => {
                if let Some(flow) = self.flow(id) {
                    flow.on_window(bytes)?;
                }
            }
            Frame::Ping(payload) => self.control(Kind::Pong, 0, &payload),
            Frame::Retire => self.table.lock().retired = true,
            Frame::Pong(payload) => {
                self.answered_tx.send_replace(u64::from_be_bytes(payload));
            }
        }
        self.outbox.lock().check()?;
        Ok(())
    }

    fn flow_of(&self, id: FlowId, link: Weak<Self>, opened_by_us: bool) -> Arc<Flow> {
        let max_data_len = self.max_data_len.load(Ordering::Relaxed);
        Flow::new(
            id,
            link,
            Arc::clone(&self.budget),
            max_data_len,
            opened_by_us,
        )
    }

    /// A flow that this end has given up is unknown here while the other one still sends: what
    /// comes for it is dropped.
    fn flow(&self, id: FlowId) -> Option<Arc<Flow>> {
        self.table.lock().flows.get(&id).cloned()
    }

    fn on_open(self: &Arc<Self>, id: FlowId, request: OpenRequest) -> Result<(), ProtocolError> {
        let from_dialler = id % 2 == 1;
        if id == 0 || from_dialler == (self.side == Side::Dialler) {
            return Err(ProtocolError::OpenedWrongly(id));
        }
        let flow = {
            let mut table = self.table.lock();
            if table.closed {
                return Ok(());
            }
            if table.flows.len() >= MAX_FLOWS {
                drop(table);
                self.control(Kind::Reply, id, &[Reason::Exhausted as u8]);
                return Ok(());
            }
            let link = Arc::downgrade(self);
            let flow = self.flow_of(id, link, false);
            if table.flows.insert(id, Arc::clone(&flow)).is_some() {
                return Err(ProtocolError::OpenedWrongly(id));
            }
            flow
        };
        (self.on_incoming)(Incoming {
            request,
            stream: FlowStream(flow),
        });
        Ok(())
    }

    pub(super) fn round_trip(&self) -> Option<Duration> {
        match self.round_trip.load(Ordering::Relaxed) {
            0 => None,
            nanoseconds => Some(Duration::from_nanos(nanoseconds)),
        }
    }

    /// Sends a frame ahead of all data.
    pub(super) fn control(&self, kind: Kind, flow: FlowId, payload: &[u8]) {
        self.outbox.lock().control(kind, flow, payload);
        self.output.notify_one();
    }

    pub(super) fn enter_ring(&self, flow: Arc<Flow>, bytes: usize) {
        self.outbox.lock().enter_ring(flow, bytes);
        self.output.notify_one();
    }

    pub(super) fn reset(&self, flow: &Arc<Flow>, reason: Reason) {
        self.end(flow, Kind::Reset, reason);
    }

    /// Ends a flow here and, unless it is over, at the other end.
    fn end(&self, flow: &Arc<Flow>, kind: Kind, reason: Reason) {
        if flow.cut(reason) {
            self.control(kind, flow.id, &[reason as u8]);
        }
        self.forget_if_over(flow);
    }

    fn forget_if_over(&self, flow: &Arc<Flow>) {
        if flow.is_over() {
            self.forget(flow.id);
        }
    }

    fn forget(&self, id: FlowId) -> Option<Arc<Flow>> {
        let mut table = self.table.lock();
        let flow = table.flows.remove(&id);
        if table.flows.is_empty() {
            self.emptied.notify_waiters();
        }
        flow
    }

    fn close(&self, why: String) {
        let flows = {
            let mut table = self.table.lock();
            table.closed = true;
            std::mem::take(&mut table.flows)
        };
        // Known before anybody is woken.
        let _ = self.why_closed.set(why);
        self.outbox.lock().clear();
        for flow in flows.into_values() {
            flow.cut(Reason::TunnelLost);
        }
        self.closed.cancel();
        self.output.notify_one();
    }

    /// Nanoseconds since the tunnel began.
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Drop for LinkShared {
    fn drop(&mut self) {
        self.close("nobody holds the tunnel any more".to_owned());
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("side", &self.0.side)
            .field("flows", &self.flows())
            .field("why_closed", &self.why_closed())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// Room for the first chunk of a flow, if the other end takes packets of so many bytes.
    async fn first_room(packet: usize) -> usize {
        let link = Link::new(Side::Dialler, Arc::new(Budget::new(0)), Box::new(drop));
        link.set_packet_len(packet);
        let request = OpenRequest::Probe {
            source_ip: [192, 0, 2, 10].into(),
            destination: "203.0.113.7:8000".parse().unwrap(),
        };
        let flow = link.open(&request).unwrap();
        poll_fn(|cx| flow.poll_room(cx)).await.unwrap()
    }

    #[tokio::test]
    async fn a_chunk_fits_into_a_packet_of_the_other_end() {
        // An end of a version that takes 32 KiB cuts the tunnel when more comes.
        for (packet, room) in [(0, 32_760), (32_768, 32_760), (65_535, 65_527)] {
            assert_eq!(first_room(packet).await, room, "packets of {packet}");
        }
        assert_eq!(first_room(usize::MAX).await, 65_527);
    }
}
