//! Two peers, with everything between them that can go wrong, in the order that an input says.

use std::time::Duration;

use ferrolb_bgp::Peer;

use crate::choices::Choices;
use crate::driver::Target;
use crate::faults::{LONG, disturb};
use crate::host::BOTH;
use crate::network::{Network, SECOND};

/// Seed, delays, then for each disturbance the end, which, and a time.
const CORPUS: [&[u8]; 4] = [
    &[0, 1, 0],
    &[1, 2, 1, 0, 80, 10, 0, 86, 0, 0, 90, 0, 1, 5, 20],
    &[2, 3, 0, 1, 62, 100, 0, 70, 1, 0, 94, 0, 1, 96, 3],
    &[3, 4, 1, 0, 98, 2, 1, 99, 2, 0, 82, 250, 0, 75, 250],
];

#[test]
fn whatever_happens_between_two_peers_they_agree_in_the_end() {
    let corpus = CORPUS.map(<[u8]>::to_vec).into();
    let target = Target { name: "session_pair", corpus, octets_max: 100, executions: 600 };
    target.run(|input| {
        let mut choices = Choices::new(input);
        let mut network = Network::new(choices.word());
        network.delay_us = choices.one_of(&[50..5_000, 50..200_000]);
        for end in BOTH {
            network.begin(end, Peer::start);
        }
        while !choices.is_empty() {
            let end = choices.one_of(&BOTH);
            disturb(&mut network, end, u64::from(choices.octet() % 100));
            // From nothing to half a minute, mostly short.
            let quarters = u64::from(choices.octet());
            network.run(Duration::from_millis(quarters * quarters / 2));
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
        assert!(network.is_up() && network.is_told());
        let ends = BOTH
            .map(|end| network.hosts[&end].ended.iter().map(|reason| reason.reason()).collect::<Vec<_>>());
        format!("{:?}", ends.map(|mut ended| ended.split_off(ended.len().saturating_sub(2))))
    });
}
