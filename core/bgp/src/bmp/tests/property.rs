//! Whatever happens, a station that is asked in the end knows what the peer was sent.

use super::*;
use proptest::prelude::*;

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
enum Step {
    Announce(u8, u32),
    Withdraw(u8),
    /// The station takes what there is for it.
    Told,
    /// The router goes, and is back.
    Reconnect,
    /// The station does.
    NewStation,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u8..6, 0_u32..3).prop_map(|(last, community)| Step::Announce(last, community)),
        2 => (0_u8..6).prop_map(Step::Withdraw),
        2 => Just(Step::Told),
        1 => Just(Step::Reconnect),
        1 => Just(Step::NewStation),
    ]
}

/// One of three addresses of either family.
fn address(last: u8) -> IpPrefix {
    if last < 3 { prefix(&format!("10.0.0.{last}/32")) } else { prefix(&format!("2001:db8:1::{last}/128")) }
}

impl Bench {
    fn take(&mut self, step: Step, now: Instant) {
        match step {
            Step::Announce(last, community) => {
                self.peer.rib_out_mut().announce(address(last), &route(community));
                self.peer.flush(now);
            }
            Step::Withdraw(last) => {
                self.peer.rib_out_mut().withdraw(address(last));
                self.peer.flush(now);
            }
            Step::Told => drop(self.told()),
            Step::Reconnect => {
                self.peer.handle_closed(self.connection.unwrap(), now);
                self.look(now);
                self.peer.handle_timeout(now + CONNECT_RETRY_TIME);
                self.drive(now + CONNECT_RETRY_TIME);
                self.establish(&open().emit(), now + CONNECT_RETRY_TIME);
            }
            Step::NewStation => {
                self.station = station();
                self.show();
            }
        }
        self.look(now);
    }
}

proptest! {
    #[test]
    fn a_station_knows_in_the_end_what_the_peer_was_sent(
        steps in proptest::collection::vec((step(), any::<bool>()), 1..60),
    ) {
        let mut bench = Bench::established(config(), &open());
        for (index, (step, is_looked_at)) in steps.into_iter().enumerate() {
            let now = at(1_000_000 * (u64::try_from(index).unwrap() + 1));
            bench.take(step, now);
            if is_looked_at {
                bench.told();
            }
        }
        bench.told();
        let mut sent = BTreeMap::new();
        for family in Family::ALL {
            for (prefix, route) in bench.peer.rib_out().advertised(family) {
                sent.insert(prefix, Vec::from_iter(route.communities.clone()));
            }
        }
        prop_assert_eq!(&bench.collector.routes, &sent);
        prop_assert_eq!(bench.told(), [""; 0]);
    }
}
