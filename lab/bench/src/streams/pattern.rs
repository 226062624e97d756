//! Pure: bytes that tell where in a stream they belong.

/// The byte at a place of every stream.
fn byte(at: u64) -> u8 {
    // Neighbours, and equal places of different kilobytes, differ.
    (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

/// Fills a buffer with the bytes that begin at a place.
pub fn fill(buffer: &mut [u8], begin: u64) {
    for (at, place) in (begin..).zip(buffer) {
        *place = byte(at);
    }
}

/// The first place at which bytes that should begin there differ from what they should be.
pub fn first_difference(bytes: &[u8], begin: u64) -> Option<u64> {
    (begin..)
        .zip(bytes)
        .find_map(|(at, found)| (*found != byte(at)).then_some(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_were_lost_doubled_or_moved_are_found() {
        let mut bytes = [0; 5000];
        fill(&mut bytes, 1_000_000);
        assert_eq!(first_difference(&bytes, 1_000_000), None);
        assert!(first_difference(&bytes, 999_999).is_some());
        assert!(first_difference(&bytes[1024..], 1_000_000).is_some());
        bytes[4711] ^= 1;
        assert_eq!(first_difference(&bytes, 1_000_000), Some(1_004_711));
    }
}
