//! One flow inside a tunnel: two halves of bytes, each with its window and its own end.
//!
//! A [`FlowStream`] belongs to one task. Dropping it before both halves are complete resets the
//! flow, so a task that panics or is cancelled never looks like one that finished.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use parking_lot::Mutex;

use super::frame::{FlowId, HEADER_LEN, Header, INITIAL_WINDOW, Kind, MAX_DATA_LEN};
use super::link::{LinkShared, ProtocolError};
use super::reason::Reason;
use super::unread::Unread;
use super::window::{Budget, ReceiveWindow};

/// Bytes of one flow that may wait to be put into the tunnel: what is put there at once goes to the
/// kernel in one write. The window is a bound too, and it stays small where bytes wait long.
const MAX_OUTGOING_BYTES: usize = 4 * MAX_DATA_LEN;
/// Chunks of one flow that may wait to be put into the tunnel, however small.
const MAX_OUTGOING_CHUNKS: usize = 8;
/// Bytes after which no further piece is handed to a reader at once.
const MAX_READ: usize = 4 * MAX_DATA_LEN;

/// A flow as its tunnel sees it.
pub(crate) struct Flow {
    pub(super) id: FlowId,
    pub(super) link: Weak<LinkShared>,
    /// Most bytes in one chunk.
    max_data_len: u32,
    pub(super) state: Mutex<FlowState>,
}

pub(super) struct FlowState {
    /// Answer to the open request; the end that accepts has it from the beginning.
    reply: Option<()>,
    unread: Unread,
    /// Bytes handed to the reader that it has not come back from.
    reading: usize,
    window: ReceiveWindow,
    received: Received,
    reader: Option<Waker>,
    /// Frames that wait to be put into the tunnel.
    outgoing: VecDeque<Vec<u8>>,
    outgoing_bytes: usize,
    send_window: u32,
    sent: Sent,
    /// Whether the tunnel's ring holds this flow.
    pub(super) in_ring: bool,
    writer: Option<Waker>,
}

/// How the half that comes in stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Received {
    More,
    Complete,
    Cut(Reason),
}

/// How the half that goes out stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    More,
    /// The last chunk is in `outgoing`, the frame that says so is not yet in the tunnel.
    Finishing,
    Complete,
}

/// What a flow gives the tunnel to send.
pub(super) enum Outgoing {
    Frame(Vec<u8>),
    Finish,
}

impl Flow {
    pub(super) fn new(
        id: FlowId,
        link: Weak<LinkShared>,
        budget: Arc<Budget>,
        max_data_len: u32,
        opened_by_us: bool,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            link,
            max_data_len,
            state: Mutex::new(FlowState {
                reply: (!opened_by_us).then_some(()),
                unread: Unread::default(),
                reading: 0,
                window: ReceiveWindow::new(budget),
                received: Received::More,
                reader: None,
                outgoing: VecDeque::new(),
                outgoing_bytes: 0,
                send_window: INITIAL_WINDOW,
                sent: Sent::More,
                in_ring: false,
                writer: None,
            }),
        })
    }

    pub(super) fn on_accepted(&self) {
        let mut state = self.state.lock();
        state.reply = Some(());
        state.wake_reader();
    }

    /// Takes a piece that is a part of `packet`.
    pub(super) fn on_data(&self, packet: &Bytes, piece: &[u8]) -> Result<(), ProtocolError> {
        let mut state = self.state.lock();
        match state.received {
            Received::More => {}
            // What was on its way when this end gave up.
            Received::Cut(_) => return Ok(()),
            Received::Complete => return Err(ProtocolError::DataAfterFinish(self.id)),
        }
        state
            .window
            .arrived(piece.len())
            .map_err(|overrun| ProtocolError::Overrun {
                flow: self.id,
                overrun,
            })?;
        state.unread.add(packet, piece);
        state.wake_reader();
        Ok(())
    }

    /// Whether the flow is over.
    pub(super) fn on_finish(&self) -> Result<bool, ProtocolError> {
        let mut state = self.state.lock();
        match state.received {
            Received::More => state.received = Received::Complete,
            Received::Cut(_) => {}
            Received::Complete => return Err(ProtocolError::DataAfterFinish(self.id)),
        }
        state.wake_reader();
        Ok(state.sent == Sent::Complete)
    }

    pub(super) fn on_window(&self, bytes: u32) -> Result<(), ProtocolError> {
        let mut state = self.state.lock();
        state.send_window = state
            .send_window
            .checked_add(bytes)
            .ok_or(ProtocolError::WindowTooLarge(self.id))?;
        if let Some(waker) = state.writer.take() {
            waker.wake();
        }
        Ok(())
    }

    /// Ends both halves here. What arrived stays readable. Whether there was anything to end.
    pub(super) fn cut(&self, reason: Reason) -> bool {
        let mut state = self.state.lock();
        if state.is_over() {
            return false;
        }
        if state.received == Received::More || state.sent != Sent::Complete {
            state.received = Received::Cut(reason);
        }
        state.outgoing.clear();
        state.outgoing_bytes = 0;
        state.wake_reader();
        if let Some(waker) = state.writer.take() {
            waker.wake();
        }
        true
    }

    /// Takes what goes into the tunnel next, and says whether there is more.
    pub(super) fn take_outgoing(&self) -> (Option<Outgoing>, bool) {
        let mut state = self.state.lock();
        let taken = match state.outgoing.pop_front() {
            Some(frame) => {
                state.outgoing_bytes -= frame.len();
                if state.outgoing.is_empty() {
                    // An idle flow holds no buffer.
                    state.outgoing = VecDeque::new();
                }
                if let Some(waker) = state.writer.take() {
                    waker.wake();
                }
                Some(Outgoing::Frame(frame))
            }
            None if state.sent == Sent::Finishing && !state.is_cut() => {
                state.sent = Sent::Complete;
                Some(Outgoing::Finish)
            }
            None => None,
        };
        state.in_ring =
            !state.outgoing.is_empty() || (state.sent == Sent::Finishing && !state.is_cut());
        (taken, state.in_ring)
    }

    pub(super) fn is_over(&self) -> bool {
        self.state.lock().is_over()
    }
}

impl FlowState {
    fn is_over(&self) -> bool {
        self.is_cut() || (self.received == Received::Complete && self.sent == Sent::Complete)
    }

    fn is_cut(&self) -> bool {
        matches!(self.received, Received::Cut(_))
    }

    fn wake_reader(&mut self) {
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }

    /// Moves some pieces that arrived; how many bytes. Not more than a quarter of the window where
    /// one piece is less, so that the sender does not wait for a large write.
    fn take_pieces(&mut self, pieces: &mut VecDeque<Bytes>) -> usize {
        let most = MAX_READ.min(self.window.size() / 4);
        self.unread.take(most, pieces)
    }

    fn forget_unread(&mut self) {
        self.unread = Unread::default();
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flow({})", self.id)
    }
}

/// Buffer for the bytes of one frame, with room in front for its header.
#[derive(Debug)]
pub(crate) struct Chunk(pub(crate) Vec<u8>);

impl Chunk {
    /// An empty chunk with room for `bytes`.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        let mut buffer = Vec::with_capacity(HEADER_LEN + bytes);
        buffer.extend_from_slice(&[0; HEADER_LEN]);
        Self(buffer)
    }

    /// Bytes in it.
    pub(crate) fn len(&self) -> usize {
        self.0.len() - HEADER_LEN
    }

    /// Gives back room that was not used: the chunk may have to wait.
    pub(crate) fn trim(&mut self) {
        self.0.shrink_to_fit();
    }
}

/// One end of a flow.
#[derive(Debug)]
pub(crate) struct FlowStream(pub(super) Arc<Flow>);

impl FlowStream {
    /// Waits for the other end to say yes.
    ///
    /// # Errors
    /// It said no, or the flow was cut.
    pub(crate) fn poll_accepted(&self, cx: &mut Context<'_>) -> Poll<Result<(), Reason>> {
        let mut state = self.0.state.lock();
        if let Received::Cut(reason) = state.received {
            return Poll::Ready(Err(reason));
        }
        if state.reply.is_some() {
            return Poll::Ready(Ok(()));
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Adds pieces that arrived to `pieces`, which is empty; none after the last ones if the half
    /// is complete. Coming back for more says that those before have been used.
    ///
    /// # Errors
    /// The flow was cut; pieces that arrived before come first.
    pub(crate) fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        pieces: &mut VecDeque<Bytes>,
    ) -> Poll<Result<(), Reason>> {
        let mut state = self.0.state.lock();
        let used = std::mem::take(&mut state.reading);
        let grant = if used > 0 && state.received == Received::More {
            let round_trip = self.0.link.upgrade().and_then(|link| link.round_trip());
            state.window.read(used, Instant::now(), round_trip)
        } else {
            None
        };
        state.reading = state.take_pieces(pieces);
        let polled = match (state.reading, state.received) {
            (1.., _) | (0, Received::Complete) => Poll::Ready(Ok(())),
            (0, Received::Cut(reason)) => Poll::Ready(Err(reason)),
            (0, Received::More) => {
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        };
        drop(state);
        if let (Some(bytes), Some(link)) = (grant, self.0.link.upgrade()) {
            link.control(Kind::Window, self.0.id, &bytes.to_be_bytes());
        }
        polled
    }

    /// As [`FlowStream::poll_receive`].
    ///
    /// # Errors
    /// The flow was cut; pieces that arrived before come first.
    pub(crate) async fn receive(&self) -> Result<VecDeque<Bytes>, Reason> {
        let mut pieces = VecDeque::new();
        poll_fn(|cx| self.poll_receive(cx, &mut pieces)).await?;
        Ok(pieces)
    }

    /// Why the flow was cut, if it was; else `cx` is woken when it is or when a piece arrives.
    pub(crate) fn poll_cut(&self, cx: &mut Context<'_>) -> Poll<Reason> {
        let mut state = self.0.state.lock();
        if let Received::Cut(reason) = state.received {
            return Poll::Ready(reason);
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Waits until bytes can be sent: the most that one chunk may hold.
    ///
    /// # Errors
    /// The flow was cut.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<Result<usize, Reason>> {
        let mut state = self.0.state.lock();
        if let Received::Cut(reason) = state.received {
            return Poll::Ready(Err(reason));
        }
        if state.send_window > 0
            && state.outgoing_bytes < MAX_OUTGOING_BYTES
            && state.outgoing.len() < MAX_OUTGOING_CHUNKS
        {
            let room = state.send_window.min(self.0.max_data_len);
            return Poll::Ready(Ok(room as usize));
        }
        state.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Sends a chunk that is not empty and not larger than [`FlowStream::poll_room`] said.
    pub(crate) fn send(&self, chunk: Chunk) {
        let len = chunk.len();
        let Chunk(mut frame) = chunk;
        let header = Header {
            kind: Kind::Data,
            len,
            flow: self.0.id,
        };
        frame[..HEADER_LEN].copy_from_slice(&header.to_wire());
        let mut state = self.0.state.lock();
        if state.is_cut() {
            return;
        }
        state.send_window -= u32::try_from(len).expect("a chunk is no larger than the room");
        state.outgoing_bytes += frame.len();
        state.outgoing.push_back(frame);
        self.enter_ring(state);
    }

    /// Says that the half that goes out is complete.
    pub(crate) fn finish(&self) {
        let mut state = self.0.state.lock();
        if state.sent == Sent::More && !state.is_cut() {
            state.sent = Sent::Finishing;
            self.enter_ring(state);
        }
    }

    fn enter_ring(&self, mut state: parking_lot::MutexGuard<'_, FlowState>) {
        let entering = !std::mem::replace(&mut state.in_ring, true);
        let bytes = state.outgoing_bytes;
        drop(state);
        if let (true, Some(link)) = (entering, self.0.link.upgrade()) {
            link.enter_ring(Arc::clone(&self.0), bytes);
        }
    }

    /// Ends both halves as incomplete, here and at the other end.
    pub(crate) fn reset(&self, reason: Reason) {
        if let Some(link) = self.0.link.upgrade() {
            link.reset(&self.0, reason);
        }
    }

    /// What ends this flow from outside.
    pub(crate) fn cutter(&self) -> Cutter {
        Cutter(Arc::downgrade(&self.0))
    }
}

impl Drop for FlowStream {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        let complete = state.received != Received::More && state.sent != Sent::More;
        if complete {
            // Nobody reads what is left.
            state.forget_unread();
            return;
        }
        drop(state);
        self.reset(Reason::Failed);
    }
}

/// Ends a flow from outside the task that it belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Cutter(Weak<Flow>);

impl Cutter {
    /// Ends both halves as incomplete at both ends; what arrived and is not read is lost.
    pub(crate) fn cut(&self, reason: Reason) {
        let Some(flow) = self.0.upgrade() else {
            return;
        };
        flow.state.lock().forget_unread();
        if let Some(link) = flow.link.upgrade() {
            link.reset(&flow, reason);
        }
    }
}
