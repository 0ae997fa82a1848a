//! The Adj-RIB-Out, and a router that reads its messages with a reader of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ferrolb_bgp::{Encoding, RibOut, Route};
use ferrolb_vocab::{Asn, Community, IpPrefix};
use ferrolb_wire::bgp::{Families, Family};

use crate::choices::Choices;
use crate::driver::Target;

mod receiver;

use receiver::{Receiver, Told};

/// Inputs to begin with: what each of the choices in [`Model::apply`] does at least once.
const CORPUS: [&[u8]; 5] = [
    &[],
    &[6, 5, 0, 0, 20, 1, 10, 0, 1, 3, 4, 7, 8, 9],
    &[0, 0, 40, 2, 5, 0, 10, 6, 9, 0, 1, 9, 1, 0, 10, 11, 1, 10, 11, 0],
    &[5, 4, 6, 2, 3, 0, 30, 3, 20, 10, 1, 10, 7, 1, 10, 8, 10],
    &[5, 1, 0, 3, 2, 3, 1, 3, 1, 5, 2, 10, 4, 10, 5, 3, 10],
];

#[test]
fn a_receiver_of_its_own_knows_what_is_wanted_whatever_was_before() {
    let corpus = CORPUS.map(<[u8]>::to_vec).into();
    let target = Target { name: "rib_out", corpus, octets_max: 200, executions: 1_000 };
    target.run(|input| {
        let mut model = Model::default();
        let mut choices = Choices::new(input);
        while !choices.is_empty() {
            model.apply(&mut choices);
        }
        model.drain();
        format!("{} {:?}", model.wanted.len().min(9), model.receiver.words)
    });
}

/// What a session can be like; the numbers are those of RFC 5737 and RFC 3849.
fn encodings() -> [Encoding; 6] {
    let over_ipv4 = Encoding {
        four_octet_as: true,
        is_internal: false,
        local_asn: Asn(70_000),
        local_address: [192, 0, 2, 1].into(),
        next_hop_ipv4: None,
        next_hop_ipv6: Some("2001:db8::1".parse().unwrap()),
        families: Families::ALL,
        extended_next_hop: false,
    };
    let over_ipv6 = Encoding { local_address: "fe80::1".parse().unwrap(), ..over_ipv4 };
    [
        over_ipv4,
        Encoding { is_internal: true, ..over_ipv4 },
        Encoding { four_octet_as: false, families: Families::IPV4, ..over_ipv4 },
        Encoding { families: Families::IPV6, ..over_ipv4 },
        // No next hop for IPv4.
        over_ipv6,
        Encoding { extended_next_hop: true, ..over_ipv6 },
    ]
}

/// The last one fits into no message.
fn routes() -> [Arc<Route>; 5] {
    let communities = |count| Route { communities: (0..count).map(Community).collect(), ..Route::default() };
    let preferred = Route { local_pref: Some(50), ..communities(1) };
    [communities(0), communities(3), preferred, communities(960), communities(961)].map(Arc::new)
}

/// So many of each family.
const PREFIXES: u8 = 64;

fn prefix(number: u8) -> IpPrefix {
    let (address, length): (IpAddr, _) = if number < PREFIXES {
        ([10, 0, number, 0].into(), 24)
    } else {
        ([0x2001, 0xdb8, 0, number.into(), 0, 0, 0, 0].into(), 64)
    };
    IpPrefix::containing(address, length).unwrap()
}

#[derive(Default)]
struct Model {
    rib: RibOut,
    encoding: Option<Encoding>,
    receiver: Receiver,
    wanted: BTreeMap<IpPrefix, Arc<Route>>,
    is_complete: bool,
    is_shutting_down: bool,
}

impl Model {
    fn apply(&mut self, choices: &mut Choices<'_>) {
        match choices.octet() % 12 {
            0 | 1 => {
                for (prefix, route) in run(choices) {
                    self.rib.announce(prefix, &route);
                    self.wanted.insert(prefix, route);
                }
            }
            2 => {
                for (prefix, _route) in run(choices) {
                    self.rib.withdraw(prefix);
                    self.wanted.remove(&prefix);
                }
            }
            3 => {
                self.wanted = run(choices).chain(run(choices)).collect();
                self.rib.set_wanted(&self.wanted);
            }
            4 => {
                self.receiver.begin(None);
                self.encoding = None;
                self.rib.lost();
            }
            5 => {
                let encoding = choices.one_of(&encodings());
                self.receiver.begin(Some(encoding));
                self.encoding = Some(encoding);
                self.rib.established(&encoding);
            }
            6 => {
                self.is_complete = true;
                self.rib.complete();
            }
            7 => {
                if let Some(encoding) = &mut self.encoding {
                    let is_there = choices.octet().is_multiple_of(2);
                    encoding.next_hop_ipv6 = encodings()[0].next_hop_ipv6.filter(|_| is_there);
                    self.rib.set_encoding(encoding);
                }
            }
            8 => {
                self.is_shutting_down = !self.is_shutting_down;
                self.rib.set_graceful_shutdown(self.is_shutting_down);
            }
            9 => self.rib.refresh(choices.one_of(&Family::ALL), choices.octet().is_multiple_of(2)),
            10 => {
                for _message in 0..choices.octet() % 8 {
                    self.take();
                }
            }
            _eleven => self.drain(),
        }
    }

    /// The router takes a message, if there is one.
    fn take(&mut self) -> bool {
        let mut octets = Vec::new();
        let has_pending = self.rib.has_pending();
        assert_eq!(self.rib.next_message(&mut octets), has_pending, "what is pending is sent");
        if has_pending {
            self.receiver.take(&octets);
        }
        has_pending
    }

    /// The router takes all messages, and then knows all that it is to know.
    fn drain(&mut self) {
        let messages = (0..10_000).take_while(|_| self.take()).count();
        assert!(messages < 10_000, "there is an end");
        let expected: BTreeMap<_, _> = self
            .wanted
            .iter()
            .filter_map(|(prefix, route)| Some((*prefix, self.expected(*prefix, route)?)))
            .collect();
        assert_eq!(self.receiver.routes, expected);
        let families = self.encoding.filter(|_| self.is_complete).map_or(Families::EMPTY, |of| of.families);
        assert_eq!(self.receiver.ended, families.iter().map(Family::afi).collect::<BTreeSet<_>>());
    }

    /// What the router is to know of a prefix.
    fn expected(&self, prefix: IpPrefix, route: &Route) -> Option<Told> {
        let encoding = self.encoding?;
        if !encoding.families.contains(Family::of(prefix.family())) || route.communities.len() > 960 {
            return None;
        }
        let is_ipv4 = prefix.network().is_ipv4();
        let global = encoding.next_hop_ipv6.map(|address| address.octets().to_vec());
        let next_hop = match encoding.local_address {
            IpAddr::V4(address) if is_ipv4 => address.octets().to_vec(),
            IpAddr::V4(_) => global?,
            IpAddr::V6(_) if is_ipv4 && !encoding.extended_next_hop => return None,
            IpAddr::V6(address) => [global.unwrap_or_default(), address.octets().to_vec()].concat(),
        };
        let mut communities: Vec<_> = route.communities.iter().map(|community| community.0).collect();
        communities.extend(self.is_shutting_down.then_some(0xffff_0000));
        let local_pref = if self.is_shutting_down { 0 } else { route.local_pref.unwrap_or(100) };
        Some(Told {
            next_hop,
            as_path: if encoding.is_internal { Vec::new() } else { Vec::from([70_000]) },
            local_pref: encoding.is_internal.then_some(local_pref),
            communities,
        })
    }
}

/// Prefixes next to each other, with the same route.
fn run(choices: &mut Choices<'_>) -> impl Iterator<Item = (IpPrefix, Arc<Route>)> + use<> {
    let first = choices.octet() % (2 * PREFIXES);
    let count = choices.octet() % PREFIXES;
    let route = choices.one_of(&routes());
    (first..(first + count).min(2 * PREFIXES)).map(move |number| (prefix(number), Arc::clone(&route)))
}
