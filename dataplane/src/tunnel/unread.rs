//! Pure: bytes of a flow that arrived and are not read, in hardly more memory than they are long.

use std::collections::VecDeque;

use bytes::Bytes;

/// Bytes from which on a piece that fills most of its ssh packet is kept as it arrived. Others are
/// copied together into buffers of so many bytes, which is a power of two.
const KEPT_PIECE_LEN: usize = 8 * 1024;

/// Bytes that arrived and are not read. Empty, it holds no buffer.
///
/// It holds at most 8/7 of their number, and [`KEPT_PIECE_LEN`].
#[derive(Debug, Default)]
pub(super) struct Unread {
    pieces: VecDeque<Bytes>,
    /// Small pieces that arrived behind them.
    small: Vec<u8>,
}

impl Unread {
    /// Takes a piece that is a part of `packet`.
    pub(super) fn add(&mut self, packet: &Bytes, piece: &[u8]) {
        // A piece keeps all of its packet.
        let wasted = packet.len() - piece.len();
        if piece.len() >= KEPT_PIECE_LEN && wasted <= packet.len() / 8 {
            self.end_small();
            self.pieces.push_back(packet.slice_ref(piece));
        } else {
            // A flow of single bytes would otherwise take a hundred times its window.
            self.copy(piece);
        }
    }

    /// Moves pieces until they are at least `most` bytes or all; how many bytes.
    pub(super) fn take(&mut self, most: usize, pieces: &mut VecDeque<Bytes>) -> usize {
        let mut taken = 0;
        while taken < most {
            if self.pieces.is_empty() {
                self.end_small();
            }
            let Some(piece) = self.pieces.pop_front() else {
                break;
            };
            taken += piece.len();
            pieces.push_back(piece);
        }
        if self.pieces.is_empty() {
            self.pieces = VecDeque::new();
        }
        taken
    }

    /// Copies a piece behind the others, into buffers that are full in the end.
    fn copy(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() {
            let room = KEPT_PIECE_LEN - self.small.len();
            let (part, rest) = piece.split_at(piece.len().min(room));
            let capacity = (self.small.len() + part.len()).next_power_of_two();
            self.small.reserve_exact(capacity - self.small.len());
            self.small.extend_from_slice(part);
            if self.small.len() == KEPT_PIECE_LEN {
                self.end_small();
            }
            piece = rest;
        }
    }

    /// Ends the buffer of small pieces, so that others may follow it.
    fn end_small(&mut self) {
        if !self.small.is_empty() {
            let small = std::mem::take(&mut self.small);
            self.pieces.push_back(Bytes::from(small));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of a window.
    const WINDOW: usize = 64 * 1024;
    /// Bytes of a packet beside a piece.
    const HEADER: usize = 8;

    /// A window of pieces of `len` bytes, each the last part of a packet of `packet` bytes: what
    /// came, the same bytes in a row, and the packets.
    fn window_of(len: usize, packet: usize) -> (Unread, Vec<u8>, Vec<Bytes>) {
        let mut unread = Unread::default();
        let (mut sent, mut packets) = (Vec::new(), Vec::new());
        while sent.len() + len <= WINDOW {
            let mut whole = vec![0; packet];
            let piece = &mut whole[packet - len..];
            for (at, byte) in piece.iter_mut().enumerate() {
                *byte = (sent.len() + at) as u8;
            }
            sent.extend_from_slice(piece);
            let whole = Bytes::from(whole);
            unread.add(&whole, &whole[packet - len..]);
            packets.push(whole);
        }
        (unread, sent, packets)
    }

    /// Shapes of packets: the piece of a flow, and the packet that it came in.
    fn shapes() -> Vec<(usize, usize)> {
        let mut shapes = Vec::new();
        for len in [
            1, 100, 1000, 2048, 4097, 8191, 8192, 9000, 16384, 28000, 32760,
        ] {
            shapes.extend([(len, len + HEADER), (len, 32 * 1024)]);
        }
        shapes
    }

    #[test]
    fn unread_bytes_take_hardly_more_memory_than_they_are_long() {
        for (len, packet) in shapes() {
            let (unread, sent, packets) = window_of(len, packet);
            let kept = |piece: &Bytes| {
                // Whoever shares a packet keeps all of it; a copy is a buffer of its own.
                let of = |packet: &&Bytes| packet.as_ptr_range().contains(&piece.as_ptr());
                packets.iter().find(of).map_or(piece.len(), Bytes::len)
            };
            let held: usize = unread.pieces.iter().map(kept).sum();
            let held = held + unread.small.capacity();
            let most = sent.len() * 8 / 7 + KEPT_PIECE_LEN;
            assert!(held <= most, "pieces of {len} in {packet}: {held} bytes");
            assert!(unread.pieces.len() <= sent.len() / KEPT_PIECE_LEN + 1);
        }
    }

    #[test]
    fn all_bytes_come_out_in_order_and_nothing_is_held_then() {
        for (len, packet) in shapes() {
            let (mut unread, sent, _) = window_of(len, packet);
            let mut received = Vec::new();
            loop {
                let mut pieces = VecDeque::new();
                let taken = unread.take(16 * 1024, &mut pieces);
                assert_eq!(taken, pieces.iter().map(Bytes::len).sum::<usize>());
                if taken == 0 {
                    break;
                }
                received.extend(pieces.into_iter().flatten());
            }
            assert!(received == sent, "pieces of {len} in {packet}");
            assert_eq!((unread.pieces.capacity(), unread.small.capacity()), (0, 0));
        }
    }
}
