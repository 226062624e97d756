//! What an end of a tunnel does with bytes that an enemy chose, for the fuzz target in
//! `dataplane/fuzz`.

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::runtime::{Builder, Runtime};

use crate::tunnel::decoder::{DecodeError, Decoder, Frame};
use crate::tunnel::flow::{Chunk, FlowStream};
use crate::tunnel::frame::FlowId;
use crate::tunnel::link::{Incoming, Link, Side};
use crate::tunnel::reason::Reason;
use crate::tunnel::request::OpenRequest;
use crate::tunnel::window::Budget;

/// Flows that this end opens before anything comes.
const OWN_FLOWS: usize = 3;
/// Bytes that each flow that is read also answers, for each piece that comes.
const ANSWER_LEN: usize = 100;
/// Bytes that windows may grow by.
const BUDGET: usize = 1 << 20;

/// Where the tunnels live that are fed. Nothing ever runs there.
static WORKER: LazyLock<Runtime> = LazyLock::new(|| {
    let worker = Builder::new_current_thread().build();
    worker.expect("it needs nothing")
});

/// Feeds an end of a tunnel: the first byte says which end and how the rest is cut, the rest is
/// what comes. Every second flow is read.
///
/// # Panics
/// Something holds no longer that must hold whatever comes: frames depend on how they were cut,
/// this end writes what it would not read itself, or a flow outlives its tunnel.
pub fn feed(input: &[u8]) {
    let Some((how, stream)) = input.split_first() else {
        return;
    };
    let side = match how % 2 {
        0 => Side::Dialler,
        _ => Side::Listener,
    };
    let piece = 1 + usize::from(how / 2).pow(2);
    assert_eq!(
        frames(stream, stream.len().max(1)),
        frames(stream, piece),
        "frames depend on how they were cut"
    );
    let incoming = Arc::new(Mutex::new(Vec::new()));
    let _worker = WORKER.enter();
    let link = Link::new(side, Arc::new(Budget::new(BUDGET)), {
        let incoming = Arc::clone(&incoming);
        Box::new(move |flow| incoming.lock().push(flow))
    });
    let mut flows: Vec<FlowStream> = (0..OWN_FLOWS).filter_map(|_| open(&link)).collect();
    let mut written = Decoder::default();
    for bytes in stream.chunks(piece) {
        let read = link.on_bytes(&Bytes::copy_from_slice(bytes));
        flows.extend(incoming.lock().drain(..).filter_map(answer));
        flows.iter().step_by(2).for_each(exchange);
        while let Some(output) = link.next_output() {
            let read_back = whole(&mut written, &output);
            assert_eq!(read_back, Ok(()), "this end would not read what it writes");
        }
        if let Err(error) = read {
            link.close(error.to_string());
            break;
        }
    }
    if link.is_closed() {
        assert!(link.why_closed().is_some_and(|why| !why.is_empty()));
        assert_eq!(link.flows(), 0);
    }
}

fn open(link: &Link) -> Option<FlowStream> {
    let request = OpenRequest::Egress {
        source_ip: [192, 0, 2, 10].into(),
        destination: "203.0.113.7:8000".parse().ok()?,
        pod: "ns1/my-pod1".to_owned(),
    };
    link.open(&request).ok()
}

/// Takes a flow, except a probe.
fn answer(incoming: Incoming) -> Option<FlowStream> {
    if matches!(incoming.request, OpenRequest::Probe { .. }) {
        incoming.refuse(Reason::Refused);
        return None;
    }
    Some(incoming.accept())
}

/// Reads all that came, and answers a little or, after the end, with the end.
fn exchange(flow: &FlowStream) {
    let cx = &mut Context::from_waker(Waker::noop());
    let mut pieces = VecDeque::new();
    let ended = loop {
        match flow.poll_receive(cx, &mut pieces) {
            Poll::Ready(Ok(())) if pieces.is_empty() => break true,
            Poll::Ready(Ok(())) => assert!(pieces.drain(..).all(|piece| !piece.is_empty())),
            Poll::Ready(Err(_)) | Poll::Pending => break false,
        }
    };
    if ended {
        flow.finish();
    } else if let Poll::Ready(Ok(room)) = flow.poll_room(cx) {
        let len = room.min(ANSWER_LEN);
        let mut chunk = Chunk::with_capacity(len);
        chunk.0.resize(chunk.0.len() + len, 0x5a);
        flow.send(chunk);
    }
}

fn whole(decoder: &mut Decoder, mut bytes: &[u8]) -> Result<(), DecodeError> {
    while decoder.next(&mut bytes)?.is_some() {}
    Ok(())
}

/// The frames of a stream that comes in pieces, as text, with data that follows data of the same
/// flow joined to it; and what is wrong behind them.
fn frames(stream: &[u8], piece: usize) -> (Vec<String>, Option<DecodeError>) {
    let mut decoder = Decoder::default();
    let mut frames: Vec<String> = Vec::new();
    let mut data: Option<(FlowId, Vec<u8>)> = None;
    let mut wrong = None;
    'stream: for mut bytes in stream.chunks(piece) {
        loop {
            match (decoder.next(&mut bytes), &mut data) {
                (Ok(Some(Frame::Data(flow, part))), Some((same, joined))) if *same == flow => {
                    joined.extend(part);
                }
                (Ok(Some(frame)), _) => {
                    frames.extend(data.take().map(|data| format!("{data:?}")));
                    match frame {
                        Frame::Data(flow, part) => data = Some((flow, part.to_vec())),
                        other => frames.push(format!("{other:?}")),
                    }
                }
                (Ok(None), _) => break,
                (Err(error), _) => {
                    wrong = Some(error);
                    break 'stream;
                }
            }
        }
    }
    frames.extend(data.map(|data| format!("{data:?}")));
    (frames, wrong)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn every_input_of_the_fuzzers_corpus_is_survived() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/frames");
        let inputs: Vec<_> = std::fs::read_dir(corpus).unwrap().collect();
        assert!(inputs.len() > 20, "{} inputs", inputs.len());
        for input in inputs {
            super::feed(&std::fs::read(input.unwrap().path()).unwrap());
        }
    }
}
