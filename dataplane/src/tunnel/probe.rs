//! The answer to a probe: the address and port that the gateway really used, as six bytes in
//! network order, and then the end of both halves.

use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddrV4};

use super::flow::{Chunk, FlowStream};
use super::reason::Reason;

/// Bytes of an answer.
const ANSWER_LEN: usize = 6;

/// Sends the answer, and waits until the other end has taken it: dropping the flow earlier would
/// reset it and lose the answer.
///
/// # Errors
/// The flow was cut.
pub(crate) async fn answer(flow: &FlowStream, bound: SocketAddrV4) -> Result<(), Reason> {
    poll_fn(|cx| flow.poll_room(cx)).await?;
    let mut chunk = Chunk::with_capacity(ANSWER_LEN);
    chunk.0.extend(bound.ip().octets());
    chunk.0.extend(bound.port().to_be_bytes());
    flow.send(chunk);
    flow.finish();
    while !flow.receive().await?.is_empty() {}
    Ok(())
}

/// Waits for the answer; `None` from a gateway that does not tell.
///
/// # Errors
/// Why the gateway could not connect, or why the flow was cut.
pub(crate) async fn answered(flow: &FlowStream) -> Result<Option<SocketAddrV4>, Reason> {
    poll_fn(|cx| flow.poll_accepted(cx)).await?;
    let mut bytes = Vec::with_capacity(ANSWER_LEN);
    loop {
        let pieces = flow.receive().await?;
        if pieces.is_empty() {
            break;
        }
        bytes.extend(pieces.iter().flatten().take(ANSWER_LEN));
    }
    flow.finish();
    let address = |bytes: [u8; ANSWER_LEN]| {
        let [a, b, c, d, p, q] = bytes;
        SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([p, q]))
    };
    Ok(bytes.try_into().ok().map(address))
}
