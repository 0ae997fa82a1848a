//! What a router forwards by while this side restarts: RFC 4724, RFC 8538.
//!
//! As it is by default, only this side connects.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ferrolb_bgp::{Config, GracefulRestartConfig, Peer, Stop};
use ferrolb_vocab::IpPrefix;

use crate::faults::change_route;
use crate::helper::Helper;
use crate::host::{BOTH, End};
use crate::network::{Network, SECOND};

/// How a process of this side's ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Restart {
    Planned,
    Crash,
    /// The router hears nothing of it.
    Unnoticed,
}

/// A router that has been told routes, long enough ago for a connection to be a new one. `notification`:
/// both sides have the N bit.
fn told(seed: u64, notification: bool) -> Network {
    told_as(seed, |config| {
        let restart = config.graceful_restart;
        config.graceful_restart = restart.map(|restart| GracefulRestartConfig { notification, ..restart });
    })
}

/// The same, with both ends configured so.
pub(crate) fn told_as(seed: u64, configure: impl Fn(&mut Config)) -> Network {
    let mut network = Network::new(seed);
    network.host(End::A).is_listening = false;
    network.host(End::B).helper = Some(Helper::default());
    for end in BOTH {
        configure(&mut network.host(end).config);
        network.begin(end, Peer::start);
    }
    for _change in 0..30 {
        change_route(&mut network, End::A);
    }
    network.run(10 * SECOND);
    assert!(network.is_up() && network.is_told(), "seed {seed}");
    assert_eq!(forwarded(&network), wanted(&network), "seed {seed}");
    network
}

pub(crate) fn wanted(network: &Network) -> BTreeSet<IpPrefix> {
    network.hosts[&End::A].wanted.keys().copied().collect()
}

/// What the router forwards by.
pub(crate) fn forwarded(network: &Network) -> BTreeSet<IpPrefix> {
    network.hosts[&End::B].helper.as_ref().unwrap().routes(network.now)
}

fn end(network: &mut Network, restart: Restart) {
    match restart {
        Restart::Planned => {
            network.stop(End::A, Stop::Restart);
            network.run(SECOND);
            network.crash(End::A);
        }
        Restart::Crash => network.crash(End::A),
        Restart::Unnoticed => {
            network.cut();
            network.crash(End::A);
            network.run(SECOND / 10);
            network.heal();
        }
    }
}

/// Lets time go by, in which the router never has less than `least`.
pub(crate) fn run_without_loss(network: &mut Network, duration: Duration, least: &BTreeSet<IpPrefix>) {
    let end = network.now + duration;
    let is_lost = network.run_until(end, |network| !forwarded(network).is_superset(least));
    assert!(!is_lost, "seed {}: {:?} of {least:?}", network.seed, forwarded(network));
}

#[test]
fn no_route_is_lost_while_this_side_restarts() {
    for seed in 0..60 {
        for notification in [true, false] {
            for restart in [Restart::Planned, Restart::Crash, Restart::Unnoticed] {
                let mut network = told(seed, notification);
                let wanted = wanted(&network);
                end(&mut network, restart);
                // Without the N bit routes do not outlive the HoldTimer, of 9 s.
                let most = if restart == Restart::Unnoticed && !notification { 5_000 } else { 50_000 };
                let away = Duration::from_millis(network.random.within(0..most));
                run_without_loss(&mut network, away, &wanted);
                network.begin(End::A, Peer::start_restarted);
                run_without_loss(&mut network, 60 * SECOND, &wanted);
                assert!(network.is_up() && network.is_told(), "seed {seed}: {restart:?}");
                assert_eq!(forwarded(&network), wanted, "seed {seed}: {restart:?}");
            }
        }
    }
}

#[test]
fn what_is_not_wanted_after_a_restart_goes_with_end_of_rib_and_not_before() {
    for seed in 0..60 {
        let mut network = told(seed, true);
        let before = wanted(&network);
        end(&mut network, Restart::Crash);
        for _change in 0..10 {
            change_route(&mut network, End::A);
        }
        let after = wanted(&network);
        run_without_loss(&mut network, SECOND, &before);
        network.begin(End::A, Peer::start_restarted);
        let stays: BTreeSet<_> = before.intersection(&after).copied().collect();
        run_without_loss(&mut network, 60 * SECOND, &stays);
        assert_eq!(forwarded(&network), after, "seed {seed}");
    }
}

#[test]
fn routes_stay_until_a_side_that_has_restarted_knows_all_that_is_wanted() {
    for seed in 0..60 {
        let mut network = told(seed, true);
        let wanted = wanted(&network);
        end(&mut network, Restart::Crash);
        let begin = network.random.next();
        let host = network.host(End::A);
        host.peer = Some(Peer::new(host.config.clone(), begin));
        let all = host.wanted.clone();
        let half: BTreeMap<_, _> =
            all.iter().take(all.len() / 2).map(|(prefix, route)| (*prefix, Arc::clone(route))).collect();
        network.change(End::A, Peer::start_restarted);
        run_without_loss(&mut network, 10 * SECOND, &wanted);
        assert!(network.is_up(), "seed {seed}: a session with nothing to say yet");
        network.change(End::A, |peer, now| {
            peer.rib_out_mut().set_wanted(&half);
            peer.flush(now);
        });
        run_without_loss(&mut network, 10 * SECOND, &wanted);
        network.change(End::A, |peer, now| {
            peer.rib_out_mut().set_wanted(&all);
            peer.rib_out_mut().complete();
            peer.flush(now);
        });
        run_without_loss(&mut network, SECOND, &wanted);
        assert!(network.is_told() && forwarded(&network) == wanted, "seed {seed}");
    }
}

#[test]
fn routes_are_forgotten_at_the_restart_time_and_at_once_when_this_side_leaves() {
    for seed in 0..60 {
        let mut network = told(seed, true);
        let wanted = wanted(&network);
        end(&mut network, Restart::Crash);
        run_without_loss(&mut network, 59 * SECOND, &wanted);
        network.run(2 * SECOND);
        assert!(forwarded(&network).is_empty(), "seed {seed}: after the Restart Time of 60 s");
        for notification in [true, false] {
            let mut network = told(seed, notification);
            network.stop(End::A, Stop::Shutdown(None));
            network.run(SECOND);
            assert!(forwarded(&network).is_empty(), "seed {seed}: this side has left");
        }
    }
}
