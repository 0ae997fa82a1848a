//! Authenticated sessions over a link that loses, delays and reorders.

use std::time::Duration;

use ferrolb_bfd::{Authentication, Config, Key};
use ferrolb_wire::bfd::AuthType;

use crate::link::{BOTH, End, Link, SECOND, config};

const DIGESTS: [AuthType; 4] =
    [AuthType::KeyedMd5, AuthType::MeticulousKeyedMd5, AuthType::KeyedSha1, AuthType::MeticulousKeyedSha1];

pub(crate) fn authentic(seed: u64, mult: u8) -> Config {
    let auth_type = DIGESTS[usize::try_from(seed % 4).unwrap()];
    let authentication = Authentication::new(auth_type, Key::new(1, b"secret").unwrap(), None).unwrap();
    Config { authentication: Some(authentication), ..config(300, 300, mult) }
}

#[test]
fn authenticated_sessions_stay_up_where_packets_are_lost() {
    for seed in 0..100 {
        let mut link = Link::up(seed, [authentic(seed, 12); 2]);
        link.loss_per_mille = 250;
        link.delay_us = 100..60_000;
        link.run(120 * SECOND);
        assert_eq!(link.told, [], "seed {seed}");
    }
}

#[test]
fn a_peer_that_began_anew_is_taken_again_once_the_old_sequence_is_forgotten() {
    for seed in 0..200 {
        let config = authentic(seed, 3);
        let mut link = Link::up(seed, [config; 2]);
        link.crash(End::B);
        let wait = Duration::from_millis(link.random.within(0..3_000));
        link.run(wait);
        link.begin(End::B, 1, config);
        // Twice the 900 ms, a packet of each side's a second, and a few round trips.
        let took = link.run_until(5 * SECOND, Link::is_up);
        assert!(took.is_some(), "seed {seed}");
        link.told.clear();
        link.run(30 * SECOND);
        assert_eq!(link.told, [], "seed {seed}");
    }
}

#[test]
fn whoever_lacks_the_key_hears_nothing_and_is_not_heard() {
    for seed in 0..20 {
        let mut link = Link::with_session(seed, [authentic(seed, 3), Config::default()]);
        link.run(30 * SECOND);
        assert_eq!(link.told, [], "seed {seed}");
        for (end, reason) in BOTH.into_iter().zip(["authentication_missing", "authentication_unexpected"]) {
            assert!(link.engines[&end].discards()[reason] >= 29, "seed {seed}");
        }
    }
}
