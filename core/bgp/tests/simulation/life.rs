//! Sessions come up, are told what is wanted, and end as they should.

use std::time::Duration;

use ferrolb_bgp::{Peer, Reason, RemoteAsn, Role, Stop};
use ferrolb_vocab::Asn;
use ferrolb_wire::bgp::{Cease, Notification};

use crate::host::{BOTH, End};
use crate::network::{Network, SECOND};

#[test]
fn a_session_comes_up_in_a_few_round_trips() {
    for seed in 0..200 {
        let mut network = Network::new(seed);
        network.host(End::B).config.role = Role::Passive;
        network.host(End::B).begin(seed);
        network.host(End::B).is_stopped = true; // It has nothing to wait for.
        network.change(End::B, Peer::start);
        network.begin(End::A, Peer::start);
        let soon = network.now + Duration::from_millis(50);
        assert!(network.run_until(soon, |network| network.is_up() && network.is_told()), "seed {seed}");
    }
}

#[test]
fn two_ends_that_connect_to_each_other_keep_one_connection() {
    let mut collisions = 0;
    for seed in 0..500 {
        let mut network = Network::new(seed);
        for end in BOTH {
            network.begin(end, Peer::start);
            let wait = Duration::from_micros(network.random.within(0..20_000));
            network.run(wait);
        }
        let end = network.now + 60 * SECOND;
        assert!(network.run_until(end, Network::is_up), "seed {seed}");
        network.run(30 * SECOND);
        assert!(network.is_up() && network.is_told(), "seed {seed}");
        let ended = network.hosts.values().flat_map(|host| &host.ended);
        collisions += ended.filter(|reason| **reason == Reason::Collision).count();
    }
    assert!(collisions > 100, "there is something to decide: {collisions}");
}

#[test]
fn a_session_at_rest_stays_up() {
    for seed in 0..20 {
        let mut network = Network::up(seed);
        let sessions = network.hosts[&End::A].sessions;
        network.run(3_600 * SECOND);
        assert!(network.is_up() && network.is_told(), "seed {seed}");
        assert_eq!(network.hosts[&End::A].sessions, sessions, "seed {seed}");
    }
}

#[test]
fn a_change_is_told_in_one_way_and_at_once() {
    for seed in 0..50 {
        let mut network = Network::up(seed);
        for _change in 0..20 {
            let (prefix, route) = (network.random.prefix(), network.random.route());
            let host = network.host(End::A);
            host.wanted.insert(prefix, std::sync::Arc::clone(&route));
            network.change(End::A, |peer, now| {
                peer.rib_out_mut().announce(prefix, &route);
                peer.flush(now);
            });
            let soon = network.now + Duration::from_secs(1);
            assert!(network.run_until(soon, Network::is_told), "seed {seed}");
        }
    }
}

#[test]
fn a_peer_in_another_as_is_refused_ever_more_seldom() {
    for seed in 0..20 {
        let mut network = Network::new(seed);
        network.host(End::A).config.remote_asn = RemoteAsn::Exactly(Asn(64_999));
        for end in BOTH {
            network.begin(end, Peer::start);
        }
        network.run(600 * SECOND);
        for end in BOTH {
            let host = &network.hosts[&end];
            assert_eq!(host.sessions, 0, "seed {seed}");
            let attempts = host.connects.len();
            assert!((10..=60).contains(&attempts), "seed {seed}: {attempts} in ten minutes");
        }
    }
}

/// The NOTIFICATION that has ended the session of the other end.
fn first_word(network: &Network) -> &Notification {
    let ended = network.hosts[&End::B].ended.first();
    let Some(Reason::NotificationReceived(told)) = ended else { panic!("seed {}: {ended:?}", network.seed) };
    told
}

#[test]
fn a_planned_restart_and_a_shutdown_are_told_apart() {
    for seed in 0..50 {
        let mut network = Network::up(seed);
        network.host(End::B).ended.clear();
        network.stop(End::A, Stop::Restart);
        network.run(SECOND);
        let told = first_word(&network);
        assert_eq!((told.as_cease(), told.encapsulated()), (Some(Cease::AdministrativeReset), None));
        network.host(End::A).session = None;
        network.begin(End::A, Peer::start_restarted);
        let soon = network.now + 30 * SECOND;
        assert!(network.run_until(soon, |network| network.is_up() && network.is_told()), "seed {seed}");
        network.host(End::B).ended.clear();
        network.stop(End::A, Stop::Shutdown(Some("leaving".into())));
        network.run(SECOND);
        let told = first_word(&network);
        assert_eq!(told.encapsulated().unwrap().text().as_deref(), Some("leaving"));
        network.run(60 * SECOND);
        assert!(!network.is_up() && network.hosts[&End::A].session.is_none());
    }
}
