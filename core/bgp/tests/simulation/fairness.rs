//! A router that reads nothing for a while.

use std::sync::Arc;
use std::time::Duration;

use crate::host::End;
use crate::network::Network;

/// Octets of UPDATEs that are written at once, and one message more: what a peer owes TCP at most,
/// KEEPALIVEs aside.
const WRITTEN_MAX: usize = 65_536 + 4_096;

/// How many UPDATEs this side has sent.
fn updates(network: &Network) -> u64 {
    network.hosts[&End::A].peer.as_ref().unwrap().status(network.now).sent.update
}

#[test]
fn a_peer_that_reads_nothing_is_owed_little_and_then_told_the_last_word() {
    for seed in 0..30 {
        let [mut slow, mut quick] = [2 * seed, 2 * seed + 1].map(Network::up);
        let before = [&slow, &quick].map(updates);
        slow.stop_reading(End::B);
        for _change in 0..100 {
            let (prefix, route) = (quick.random.prefix(), quick.random.route());
            for network in [&mut slow, &mut quick] {
                network.host(End::A).wanted.insert(prefix, Arc::clone(&route));
                network.change(End::A, |peer, now| {
                    peer.rib_out_mut().announce(prefix, &route);
                    peer.flush(now);
                });
                network.run(Duration::from_millis(20));
            }
            assert!(quick.is_told(), "seed {seed}: the one does not wait for the other");
        }
        // KEEPALIVEs are 19 octets each second at most, and go whatever waits.
        let unread = slow.read_again();
        assert!(unread <= WRITTEN_MAX + 3 * 19, "seed {seed}: {unread} octets");
        let soon = slow.now + Duration::from_millis(50);
        assert!(slow.run_until(soon, Network::is_told), "seed {seed}");
        assert!(slow.is_up(), "seed {seed}: two seconds of silence end nothing");
        let [slow, quick] = [updates(&slow) - before[0], updates(&quick) - before[1]];
        assert!(slow * 5 < quick, "seed {seed}: {slow} UPDATEs instead of {quick}");
    }
}
