//! A process of this side's that ends leaves its session to the next, and the router notices nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use ferrolb_bgp::{Peer, Resumption};

use crate::faults::change_route;
use crate::host::End;
use crate::network::{Network, SECOND, Socket};
use crate::restart::{forwarded, run_without_loss, told_as, wanted};

impl Network {
    /// The process of `end` is gone. What it leaves to the next, if it has a session.
    pub(crate) fn end_for_next(&mut self, end: End) -> Option<Resumption> {
        let now = self.now;
        let host = self.host(end);
        let (_, resumption) = host.peer.as_ref()?.hand_over(now)?;
        host.peer = None;
        // As it goes from one process to the next.
        Some(resumption.to_string().parse().unwrap())
    }

    /// The next process of `end` goes on with that.
    pub(crate) fn go_on(&mut self, end: End, resumption: Resumption) {
        let (seed, now) = (self.random.next(), self.now);
        let host = self.host(end);
        let former = host.session.unwrap();
        host.begin(seed);
        let ends = [end.address(), end.other().address()];
        let id = host.peer.as_mut().unwrap().resume(resumption, ends, now);
        host.session = Some(id);
        let pipe = self.pipe_of(end, former);
        self.set_socket(pipe, end, Socket::Open(id));
        self.change(end, Peer::start);
    }
}

#[test]
fn no_route_is_lost_and_no_session_while_one_process_follows_another() {
    for seed in 0..100 {
        let mut network = told_as(seed, |config| config.graceful_restart = None);
        let session = network.hosts[&End::B].session;
        for _process in 0..5 {
            let before = forwarded(&network);
            network.stop_reading(End::A);
            let resumption = network.end_for_next(End::A).expect("there is a session");
            for _change in 0..network.random.within(0..6) {
                change_route(&mut network, End::A);
            }
            let stays: BTreeSet<_> = before.intersection(&wanted(&network)).copied().collect();
            // The hold time is 9 s, and the last KEEPALIVE of up to three ago.
            let gap = Duration::from_millis(network.random.within(0..5_000));
            run_without_loss(&mut network, gap, &before);
            network.go_on(End::A, resumption);
            network.read_again();
            run_without_loss(&mut network, SECOND, &stays);
            assert_eq!(forwarded(&network), wanted(&network), "seed {seed}");
            let at_rest = Duration::from_millis(network.random.within(0..20_000));
            let wanted = wanted(&network);
            run_without_loss(&mut network, at_rest, &wanted);
        }
        assert!(network.is_up() && network.is_told(), "seed {seed}");
        assert_eq!(network.hosts[&End::B].session, session, "seed {seed}: the router has the same session");
        let status = network.hosts[&End::A].peer.as_ref().unwrap().status(network.now);
        assert_eq!((status.established, status.attempts), (1, 1), "seed {seed}");
    }
}

#[test]
fn whenever_a_process_follows_another_the_router_is_told_all_in_the_end() {
    for seed in 0..200 {
        let mut network = told_as(seed, |config| config.graceful_restart = None);
        let session = network.hosts[&End::B].session;
        for _process in 0..10 {
            for _change in 0..network.random.within(0..6) {
                change_route(&mut network, End::A);
            }
            // Octets of both sides are under way.
            let pause = Duration::from_micros(network.random.within(0..5_000));
            network.run(pause);
            let resumption = network.end_for_next(End::A).expect("there is a session");
            network.go_on(End::A, resumption);
        }
        network.run(SECOND);
        assert!(network.is_up() && network.is_told(), "seed {seed}");
        assert_eq!(network.hosts[&End::B].session, session, "seed {seed}");
    }
}
