//! Streams that arrive in pieces of any size.

use ferrolb_wire::bgp::{Error, Frame, MessageType};

use crate::driver::Target;
use crate::inputs::{ALL, bodies, message};

/// Octets of the longest input: a stream of some messages.
const OCTETS_MAX: usize = 10_000;

#[test]
fn a_stream_means_the_same_in_any_pieces() {
    let messages = ALL.map(|(message_type, corpus)| {
        let bodies = bodies(corpus);
        bodies.iter().flat_map(|body| message(message_type, body)).collect::<Vec<_>>()
    });
    let keepalives = message(4, &[]).repeat(3);
    let mut corpus = Vec::new();
    for sizes in [&[0][..], &[3, 1, 18, 200], &[8, 1, 1, 1, 1, 1, 1, 1, 1]] {
        corpus.extend(messages.iter().map(|stream| [sizes, stream, &keepalives].concat()));
    }
    let target = Target { name: "stream", corpus, octets_max: OCTETS_MAX, executions: 50_000 };
    target.run(|input| {
        let Some((count, rest)) = input.split_first() else { return "nothing".to_owned() };
        let (sizes, stream) = rest.split_at(usize::from(*count % 64).min(rest.len()));
        let whole = received(stream, &[]);
        assert_eq!(received(stream, sizes), whole);
        let Received { messages, end } = whole;
        let types: Vec<_> = messages.iter().map(|(message_type, _body)| *message_type).take(4).collect();
        format!("{types:?} {:?}", end.map(|rest| rest.len().min(20)))
    });
}

/// What a receiver makes of a stream.
#[derive(Debug, PartialEq, Eq)]
struct Received {
    messages: Vec<(MessageType, Vec<u8>)>,
    /// What follows them: what is waited for, or an error.
    end: Result<Vec<u8>, Error>,
}

/// The stream arrives in pieces of these sizes, and then the rest.
fn received(stream: &[u8], sizes: &[u8]) -> Received {
    let (mut rest, mut buffer, mut messages) = (stream, Vec::new(), Vec::new());
    let mut sizes = sizes.iter().map(|size| usize::from(*size));
    loop {
        let (piece, later) = rest.split_at(sizes.next().unwrap_or(usize::MAX).min(rest.len()));
        buffer.extend_from_slice(piece);
        rest = later;
        loop {
            match Frame::next(&buffer) {
                Ok(Some((frame, length))) => {
                    messages.push((frame.message_type, frame.body.to_vec()));
                    buffer.drain(..length);
                }
                Ok(None) => break,
                Err(error) => return Received { messages, end: Err(error) },
            }
        }
        if rest.is_empty() {
            return Received { messages, end: Ok(buffer) };
        }
    }
}
