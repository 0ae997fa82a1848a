//! Everything that can go wrong, in any order.

use std::sync::Arc;
use std::time::Duration;

use ferrolb_bgp::{HoldTime, Peer, Reason, Stop};

use crate::host::{BOTH, End, config};
use crate::network::{Network, SECOND};

fn wait(network: &mut Network) {
    let ms = if network.random.chance(700) { 1_000 } else { 30_000 };
    let duration = Duration::from_millis(network.random.within(1..ms));
    network.run(duration);
}

pub(crate) fn change_route(network: &mut Network, end: End) {
    let (prefix, route) = (network.random.prefix(), network.random.route());
    if network.random.chance(400) {
        network.host(end).wanted.remove(&prefix);
        network.change(end, |peer, _| peer.rib_out_mut().withdraw(prefix));
    } else {
        network.host(end).wanted.insert(prefix, Arc::clone(&route));
        network.change(end, |peer, _| peer.rib_out_mut().announce(prefix, &route));
    }
    network.change(end, Peer::flush);
}

fn change_config(network: &mut Network, end: End) {
    let mut changed = config(end);
    if network.random.chance(500) {
        let seconds = u16::try_from(network.random.within(3..12)).unwrap();
        changed.hold_time = HoldTime::new(seconds).unwrap();
    }
    network.host(end).config = changed.clone();
    network.change(end, |peer, now| {
        peer.set_config(changed, now);
    });
}

/// One thing goes wrong, or changes: which, by a number below a hundred.
pub(crate) fn disturb(network: &mut Network, end: End, which: u64) {
    match which {
        0..60 => change_route(network, end),
        60..68 => network.cut(),
        68..80 => network.heal(),
        80..84 => network.reset_connections(),
        84..88 => network.crash(end),
        88..94 => {
            if network.hosts[&end].peer.is_none() {
                network.begin(end, Peer::start_restarted);
            }
        }
        94..96 => network.stop(end, Stop::Reset),
        96 => {
            network.stop(end, Stop::Restart);
            network.crash(end);
        }
        97 => {
            if let Some(resumption) = network.end_for_next(end) {
                network.go_on(end, resumption);
            }
        }
        _rest => change_config(network, end),
    }
}

/// Longer than any timer of a session, its end and the attempt at the next.
pub(crate) const LONG: Duration = Duration::from_secs(120);

#[test]
fn whatever_happens_both_ends_agree_in_the_end() {
    let mut sessions = 0;
    for seed in 0..300 {
        let mut network = Network::new(seed);
        network.delay_us = 50..if seed % 3 == 0 { 200_000 } else { 5_000 };
        for end in BOTH {
            network.begin(end, Peer::start);
        }
        for _disturbance in 0..80 {
            let end = BOTH[usize::from(network.random.chance(500))];
            let which = network.random.within(0..100);
            disturb(&mut network, end, which);
            wait(&mut network);
        }
        network.heal();
        for end in BOTH {
            if network.hosts[&end].peer.is_none() {
                network.begin(end, Peer::start_restarted);
            }
        }
        let end = network.now + LONG;
        network.run_until(end, Network::is_up);
        network.run(30 * SECOND);
        assert!(network.is_up(), "seed {seed}");
        assert!(network.is_told(), "seed {seed}");
        sessions += network.hosts[&End::A].sessions;
    }
    assert!(sessions > 1_000, "sessions come and go: {sessions}");
}

#[test]
fn attempts_are_few_however_often_they_fail() {
    for seed in 0..100 {
        let mut network = Network::new(seed);
        for end in BOTH {
            network.begin(end, Peer::start);
        }
        for _disturbance in 0..60 {
            match network.random.within(0..5) {
                0 => network.cut(),
                1 => network.heal(),
                2 => network.crash(End::B),
                3 if network.hosts[&End::B].peer.is_none() => network.begin(End::B, Peer::start),
                _rest => network.reset_connections(),
            }
            wait(&mut network);
        }
        let connects = &network.hosts[&End::A].connects;
        for window in connects.windows(7) {
            let span = window[6].saturating_since(window[0]);
            assert!(span > 10 * SECOND, "seed {seed}: seven attempts in {span:?}");
        }
    }
}

#[test]
fn a_cut_is_noticed_after_the_hold_time_and_a_shorter_one_by_nobody() {
    for seed in 0..100 {
        let mut network = Network::up(seed);
        for host in network.hosts.values_mut() {
            host.ended.clear();
        }
        let sessions = network.hosts[&End::A].sessions;
        network.cut();
        let short = Duration::from_millis(network.random.within(0..5_000));
        network.run(short);
        network.heal();
        network.run(20 * SECOND);
        assert!(network.is_up() && network.hosts[&End::A].sessions == sessions, "seed {seed}: {short:?}");
        network.cut();
        network.run(9 * SECOND + SECOND / 10);
        for host in network.hosts.values() {
            assert_eq!(host.ended.first(), Some(&Reason::HoldTimerExpired), "seed {seed}");
            assert_eq!(host.session, None, "seed {seed}: {:?}", host.end);
        }
        network.heal();
        let soon = network.now + 40 * SECOND;
        assert!(network.run_until(soon, |network| network.is_up() && network.is_told()), "seed {seed}");
    }
}

#[test]
fn a_process_that_dies_unnoticed_takes_the_place_of_its_session() {
    let mut replaced = 0;
    for seed in 0..200 {
        let mut network = Network::up(seed);
        network.host(End::B).ended.clear();
        network.cut();
        network.crash(End::A);
        network.run(SECOND / 10);
        network.heal();
        network.begin(End::A, Peer::start_restarted);
        let soon = network.now + 5 * SECOND;
        assert!(network.run_until(soon, |network| network.is_up() && network.is_told()), "seed {seed}");
        replaced += usize::from(network.hosts[&End::B].ended.contains(&Reason::Replaced));
    }
    assert!(replaced > 190, "the other end had not noticed: {replaced}");
}

#[test]
fn a_process_that_dies_is_back_before_its_routes_are_forgotten() {
    for seed in 0..200 {
        let mut network = Network::up(seed);
        for _route in 0..10 {
            change_route(&mut network, End::A);
        }
        network.run(SECOND);
        network.crash(End::A);
        let down = Duration::from_millis(network.random.within(0..3_000));
        network.run(down);
        network.begin(End::A, Peer::start_restarted);
        let soon = network.now + 50 * SECOND;
        assert!(network.run_until(soon, |network| network.is_up() && network.is_told()), "seed {seed}");
    }
}
