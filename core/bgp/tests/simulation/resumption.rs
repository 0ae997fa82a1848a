//! A peer that goes on with whatever it is told of a session: the line comes from another process, of
//! this version or not, and is not its own to believe.

use std::collections::BTreeSet;
use std::time::Duration;

use ferrolb_bgp::{ConnectionId, Peer, Resumption, Transmit};
use ferrolb_vocab::Instant;
use ferrolb_wire::bgp::Frame;

use crate::driver::Target;
use crate::host::{End, config};
use crate::network::SECOND;
use crate::restart::told_as;

/// Octets of the longest input: a session with some prefixes, and as much that is not read yet.
const OCTETS_MAX: usize = 4_000;
/// Networks of which a session is handed over to begin with.
const SEEDS: u64 = 4;
/// Longer than any session of these networks has lasted.
const NOW: Duration = Duration::from_secs(86_400);
/// What a peer waits for afterwards: timers of the session, and of attempts at the next.
const TIMERS: usize = 12;

#[test]
fn whatever_a_former_process_says_is_refused_or_gone_on_with() {
    let session = |seed| told_as(seed, |_config| {}).end_for_next(End::A).expect("there is a session");
    let corpus: Vec<_> = (0..SEEDS).map(|seed| session(seed).to_string().into_bytes()).collect();
    let target = Target { name: "resumption", corpus, octets_max: OCTETS_MAX, executions: 100_000 };
    target.run(|input| match String::from_utf8_lossy(input).parse::<Resumption>() {
        Ok(resumption) => {
            // An OPEN of this side's has nothing that this side does not know; said again it has not.
            let said = resumption.to_string();
            assert_eq!(said.parse::<Resumption>().unwrap().to_string(), said);
            go_on(resumption)
        }
        Err(error) => error.to_string(),
    });
}

/// What comes of such a session.
fn go_on(resumption: Resumption) -> String {
    let mut now = Instant::from_origin(NOW);
    let mut peer = Peer::new(config(End::A), 7);
    peer.rib_out_mut().complete();
    let session = peer.resume(resumption, [End::A, End::B].map(End::address), now);
    peer.start_restarted(now);
    let state = peer.state();
    let mut open = BTreeSet::from([session]);
    let mut done = drain(&mut peer, &mut open);
    for _timer in 0..TIMERS {
        let Some((due, _)) = peer.poll_timeout() else { break };
        now = now.max(due);
        peer.handle_timeout(now);
        done.extend(drain(&mut peer, &mut open));
    }
    drop(peer.status(now + SECOND));
    done.dedup();
    done.truncate(4);
    format!("{state} {done:?}")
}

/// What the peer does, in words. `open` are the connections that are not closed.
fn drain(peer: &mut Peer, open: &mut BTreeSet<ConnectionId>) -> Vec<&'static str> {
    while peer.poll_event().is_some() {}
    let mut done = Vec::new();
    while let Some(transmit) = peer.poll_transmit() {
        done.push(match transmit {
            Transmit::Connect { id } => {
                assert!(open.insert(id), "{id} is used twice");
                "connects"
            }
            Transmit::Send { id, octets } => {
                assert!(open.contains(&id), "{id} is closed");
                let mut rest = octets.as_slice();
                while let Some((_, length)) = Frame::next(rest).unwrap() {
                    rest = &rest[length..];
                }
                assert!(rest.is_empty(), "only whole messages are sent");
                "sends"
            }
            Transmit::Close { id } | Transmit::Abort { id } => {
                assert!(open.remove(&id), "{id} is closed twice");
                "closes"
            }
        });
    }
    done
}
