//! Pure: cuts the byte stream of a tunnel into frames, however it was cut before.

use super::frame::{FlowId, HEADER_LEN, Header, HeaderError, Kind};
use super::reason::Reason;
use super::request::{MAX_REQUEST_LEN, OpenRequest, RequestError};

/// A frame as it arrived. `Data` may be a part of one: its bytes are handed on as they come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// See [`Kind::Open`].
    Open(FlowId, OpenRequest),
    /// See [`Kind::Reply`].
    Reply(FlowId, Result<(), Reason>),
    /// See [`Kind::Data`].
    Data(FlowId, &'a [u8]),
    /// See [`Kind::Finish`].
    Finish(FlowId),
    /// See [`Kind::Reset`].
    Reset(FlowId, Reason),
    /// See [`Kind::Window`]; bytes.
    Window(FlowId, u32),
    /// See [`Kind::Ping`].
    Ping([u8; 8]),
    /// See [`Kind::Pong`].
    Pong([u8; 8]),
    /// See [`Kind::Retire`].
    Retire,
}

/// Bytes that are no frames of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// See [`HeaderError`].
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// See [`RequestError`].
    #[error(transparent)]
    Request(#[from] RequestError),
}

const MAX_BUFFERED: usize = HEADER_LEN + MAX_REQUEST_LEN;

/// Cuts a byte stream into frames. Holds at most one frame without data.
#[derive(Debug)]
pub struct Decoder {
    /// A frame's beginning that is not all there.
    partial: [u8; MAX_BUFFERED],
    have: usize,
    /// Flow and bytes still to come of a data frame whose header is read.
    data: Option<(FlowId, usize)>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            partial: [0; MAX_BUFFERED],
            have: 0,
            data: None,
        }
    }
}

impl Decoder {
    /// Takes bytes off the front of `input` up to the end of the next frame. `None` when they do
    /// not suffice for one; they are all taken then.
    ///
    /// # Errors
    /// The bytes are no frames; do not go on.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Frame<'a>>, DecodeError> {
        if let Some((flow, left)) = self.data {
            return Ok(self.take_data(input, flow, left));
        }
        if !self.fill_to(HEADER_LEN, input) {
            return Ok(None);
        }
        let header = Header::parse(self.header_bytes())?;
        if header.kind == Kind::Data {
            self.have = 0;
            self.data = Some((header.flow, header.len));
            return Ok(self.take_data(input, header.flow, header.len));
        }
        if !self.fill_to(HEADER_LEN + header.len, input) {
            return Ok(None);
        }
        self.have = 0;
        whole_frame(header, &self.partial[HEADER_LEN..HEADER_LEN + header.len]).map(Some)
    }

    fn take_data<'a>(
        &mut self,
        input: &mut &'a [u8],
        flow: FlowId,
        left: usize,
    ) -> Option<Frame<'a>> {
        let (piece, rest) = input.split_at(left.min(input.len()));
        *input = rest;
        let left = left - piece.len();
        self.data = (left > 0).then_some((flow, left));
        (!piece.is_empty()).then_some(Frame::Data(flow, piece))
    }

    /// Moves input into `partial` until it holds `len` bytes; whether it does.
    fn fill_to(&mut self, len: usize, input: &mut &[u8]) -> bool {
        let missing = len.saturating_sub(self.have);
        let (taken, rest) = input.split_at(missing.min(input.len()));
        self.partial[self.have..self.have + taken.len()].copy_from_slice(taken);
        self.have += taken.len();
        *input = rest;
        self.have >= len
    }

    fn header_bytes(&self) -> [u8; HEADER_LEN] {
        *self
            .partial
            .first_chunk()
            .expect("the buffer is longer than a header")
    }
}

fn whole_frame(header: Header, payload: &[u8]) -> Result<Frame<'static>, DecodeError> {
    let flow = header.flow;
    Ok(match (header.kind, payload) {
        (Kind::Open, _) => Frame::Open(flow, OpenRequest::parse(payload)?),
        (Kind::Reply, [0]) => Frame::Reply(flow, Ok(())),
        (Kind::Reply, [reason]) => Frame::Reply(flow, Err(Reason::from_wire(*reason))),
        (Kind::Finish, []) => Frame::Finish(flow),
        (Kind::Reset, [reason]) => Frame::Reset(flow, Reason::from_wire(*reason)),
        (Kind::Window, [a, b, c, d]) => Frame::Window(flow, u32::from_be_bytes([*a, *b, *c, *d])),
        (Kind::Ping, [a, b, c, d, e, f, g, h]) => Frame::Ping([*a, *b, *c, *d, *e, *f, *g, *h]),
        (Kind::Pong, [a, b, c, d, e, f, g, h]) => Frame::Pong([*a, *b, *c, *d, *e, *f, *g, *h]),
        (Kind::Retire, []) => Frame::Retire,
        (kind, _) => {
            return Err(HeaderError::Length {
                kind,
                len: payload.len(),
            }
            .into());
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tunnel::frame::{MAX_DATA_LEN, write_frame};

    fn stream() -> Vec<u8> {
        let mut request = Vec::new();
        OpenRequest::Egress {
            source_ip: "192.0.2.10".parse().unwrap(),
            destination: "203.0.113.7:8000".parse().unwrap(),
            pod: "ns1/my-pod1".to_owned(),
        }
        .write_to(&mut request);
        let mut out = Vec::new();
        write_frame(&mut out, Kind::Open, 1, &request);
        write_frame(&mut out, Kind::Data, 1, b"hello");
        write_frame(&mut out, Kind::Reply, 1, &[0]);
        write_frame(&mut out, Kind::Reply, 3, &[Reason::Refused as u8]);
        write_frame(&mut out, Kind::Window, 1, &65536_u32.to_be_bytes());
        write_frame(&mut out, Kind::Ping, 0, b"12345678");
        write_frame(&mut out, Kind::Pong, 0, b"12345678");
        write_frame(&mut out, Kind::Data, 1, &[7; MAX_DATA_LEN]);
        write_frame(&mut out, Kind::Finish, 1, &[]);
        write_frame(&mut out, Kind::Reset, 1, &[Reason::PeerReset as u8]);
        write_frame(&mut out, Kind::Retire, 0, &[]);
        out
    }

    /// Frames of `stream` fed in pieces of `piece` bytes, data joined again.
    fn decoded(stream: &[u8], piece: usize) -> Result<Vec<String>, DecodeError> {
        let mut decoder = Decoder::default();
        let mut frames: Vec<String> = Vec::new();
        let mut data: Option<(FlowId, Vec<u8>)> = None;
        for mut input in stream.chunks(piece) {
            while let Some(frame) = decoder.next(&mut input)? {
                if let Frame::Data(flow, bytes) = frame {
                    assert!(!bytes.is_empty());
                    data.get_or_insert((flow, Vec::new())).1.extend(bytes);
                    continue;
                }
                if let Some((flow, bytes)) = data.take() {
                    frames.push(format!("data {flow} {bytes:?}"));
                }
                frames.push(format!("{frame:?}"));
            }
            assert!(input.is_empty());
        }
        Ok(frames)
    }

    #[test]
    fn frames_are_the_same_however_the_stream_is_cut() {
        let stream = stream();
        let whole = decoded(&stream, stream.len()).unwrap();
        assert_eq!(whole.len(), 11);
        for piece in [1, 2, 3, 7, 8, 9, 100, 32 * 1024] {
            assert_eq!(decoded(&stream, piece).unwrap(), whole, "pieces of {piece}");
        }
    }

    #[test]
    fn rubbish_is_an_error_and_never_a_panic() {
        decoded(b"GET / HTTP/1.1\r\n\r\n", 5).unwrap_err();
        decoded(&[0; 64], 64).unwrap_err();
        decoded(&[1, 1, 0, 1, 0, 0, 0, 1, 1], 9).unwrap_err();
        decoded(&[0xff; 64], 64).unwrap_err();
    }
}
