//! Pure: the frames that carry many flows in one ssh channel.
//!
//! ```text
//!  0        1        2        3        4                                8
//! +--------+--------+--------+--------+--------+--------+--------+--------+---------
//! | version| kind   | length of payload| flow                              | payload
//! +--------+--------+--------+--------+--------+--------+--------+--------+---------
//! ```
//! Numbers are in network order. The end that dialled numbers its flows odd, the other one even.

/// First byte of every frame.
pub const VERSION: u8 = 1;

/// Bytes in front of the payload.
pub const HEADER_LEN: usize = 8;

/// Bytes of an ssh packet that every end takes.
pub const COMMON_PACKET_LEN: usize = 32 * 1024;

/// Most bytes of an ssh packet that an end may take, which says so when it opens its channel.
pub const MAX_PACKET_LEN: usize = 65_535;

/// Most bytes of a flow in one frame: with its header it fills one ssh packet.
pub const MAX_DATA_LEN: usize = MAX_PACKET_LEN - HEADER_LEN;

/// Bytes of a flow that may be on their way before the first [`Kind::Window`].
pub const INITIAL_WINDOW: u32 = 64 * 1024;

/// Number of a flow within its tunnel; 0 belongs to the tunnel itself.
pub type FlowId = u32;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A flow begins; payload: an open request. Data may follow at once.
    Open = 1,
    /// Answer to `Open`; payload: 0 for yes, or a reason for no, which ends the flow.
    Reply = 2,
    /// Bytes of a flow, at least one.
    Data = 3,
    /// The sender's half ends here and is complete.
    Finish = 4,
    /// Both halves end here and are not complete; payload: a reason.
    Reset = 5,
    /// The receiver of a half may be sent so many more bytes; payload: 32 bits.
    Window = 6,
    /// To be answered at once; payload: 64 bits, any.
    Ping = 7,
    /// Answer to `Ping` with its payload.
    Pong = 8,
    /// The sender is going away: open no more flows towards it.
    Retire = 9,
}

impl Kind {
    fn from_wire(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Open,
            2 => Self::Reply,
            3 => Self::Data,
            4 => Self::Finish,
            5 => Self::Reset,
            6 => Self::Window,
            7 => Self::Ping,
            8 => Self::Pong,
            9 => Self::Retire,
            _ => return None,
        })
    }

    /// Lengths of payload that this kind may have.
    fn lengths(self) -> std::ops::RangeInclusive<usize> {
        match self {
            Self::Open => 1..=super::request::MAX_REQUEST_LEN,
            Self::Reply | Self::Reset => 1..=1,
            Self::Data => 1..=MAX_DATA_LEN,
            Self::Finish | Self::Retire => 0..=0,
            Self::Window => 4..=4,
            Self::Ping | Self::Pong => 8..=8,
        }
    }
}

/// Everything in front of the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the frame is for.
    pub kind: Kind,
    /// Bytes of payload.
    pub len: usize,
    /// The flow it belongs to.
    pub flow: FlowId,
}

/// Bytes that are no frame of this version. The tunnel cannot be understood any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Another version.
    #[error("frame of unknown version {0}")]
    Version(u8),
    /// A kind that this version does not know.
    #[error("frame of unknown kind {0}")]
    Kind(u8),
    /// A length that this kind cannot have.
    #[error("{kind:?} frame of {len} bytes")]
    Length {
        /// What the frame is for.
        kind: Kind,
        /// Bytes of payload announced.
        len: usize,
    },
}

impl Header {
    /// Wire form.
    pub fn to_wire(self) -> [u8; HEADER_LEN] {
        let len = u16::try_from(self.len).expect("no kind allows more than 64 KiB");
        let [a, b] = len.to_be_bytes();
        let [c, d, e, f] = self.flow.to_be_bytes();
        [VERSION, self.kind as u8, a, b, c, d, e, f]
    }

    /// Reads what [`Header::to_wire`] wrote.
    ///
    /// # Errors
    /// The version, the kind or the length is none of ours.
    pub fn parse(bytes: [u8; HEADER_LEN]) -> Result<Self, HeaderError> {
        let [version, kind, a, b, c, d, e, f] = bytes;
        if version != VERSION {
            return Err(HeaderError::Version(version));
        }
        let kind = Kind::from_wire(kind).ok_or(HeaderError::Kind(kind))?;
        let len = usize::from(u16::from_be_bytes([a, b]));
        if !kind.lengths().contains(&len) {
            return Err(HeaderError::Length { kind, len });
        }
        Ok(Self {
            kind,
            len,
            flow: FlowId::from_be_bytes([c, d, e, f]),
        })
    }
}

/// Appends a whole frame.
pub fn write_frame(out: &mut Vec<u8>, kind: Kind, flow: FlowId, payload: &[u8]) {
    let header = Header {
        kind,
        len: payload.len(),
        flow,
    };
    out.extend(header.to_wire());
    out.extend(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_header_survives_the_wire() {
        for (kind, len) in [
            (Kind::Open, 1),
            (Kind::Reply, 1),
            (Kind::Data, MAX_DATA_LEN),
            (Kind::Finish, 0),
            (Kind::Reset, 1),
            (Kind::Window, 4),
            (Kind::Ping, 8),
            (Kind::Pong, 8),
            (Kind::Retire, 0),
        ] {
            let header = Header {
                kind,
                len,
                flow: 0x0102_0304,
            };
            assert_eq!(Header::parse(header.to_wire()), Ok(header));
        }
    }

    #[test]
    fn what_no_version_wrote_is_refused_by_name() {
        assert_eq!(
            Header::parse([2, 3, 0, 1, 0, 0, 0, 1]),
            Err(HeaderError::Version(2))
        );
        assert_eq!(
            Header::parse([1, 10, 0, 1, 0, 0, 0, 1]),
            Err(HeaderError::Kind(10))
        );
        for (kind, byte, len) in [
            (Kind::Data, 3, 0),
            (Kind::Data, 3, MAX_DATA_LEN + 1),
            (Kind::Finish, 4, 1),
            (Kind::Window, 6, 3),
            (Kind::Open, 1, super::super::request::MAX_REQUEST_LEN + 1),
        ] {
            let [a, b] = u16::try_from(len).unwrap().to_be_bytes();
            assert_eq!(
                Header::parse([1, byte, a, b, 0, 0, 0, 1]),
                Err(HeaderError::Length { kind, len })
            );
        }
    }
}
