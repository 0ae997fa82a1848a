//! Whatever is wanted and whenever the peer takes a message: in the end it knows what is wanted.

use super::*;
use alloc::string::String;
use alloc::vec;
use proptest::prelude::*;

/// So many prefixes of each family.
const PREFIXES: u16 = 200;

#[derive(Clone, Debug)]
enum Op {
    /// Prefixes from the first on, so many, with this route.
    Announce(u16, u16, usize),
    Withdraw(u16, u16),
    SetWanted(Vec<(u16, u16, usize)>),
    Establish(usize),
    /// The next hop of IPv6 routes over IPv4 comes and goes, if that is what there is.
    SetNextHop(bool),
    Lose,
    /// Another process goes on with the session.
    HandOver,
    Complete,
    Refresh(Family, bool),
    GracefulShutdown(bool),
    /// The connection takes so many messages.
    Take(u8),
    Drain,
}

fn routes() -> [Arc<Route>; 5] {
    let communities = |count| Route { communities: (0..count).map(Community).collect(), ..Route::default() };
    [
        communities(0),
        communities(3),
        Route { local_pref: Some(50), ..communities(0) },
        // Few prefixes fit beside them.
        communities(960),
        // None fits beside them.
        communities(961),
    ]
    .map(Arc::new)
}

fn encodings() -> [Encoding; 6] {
    let over_ipv6 = Encoding { local_address: "fe80::1".parse().unwrap(), ..external() };
    [
        external(),
        Encoding { is_internal: true, ..external() },
        Encoding { families: Families::IPV4, four_octet_as: false, local_asn: Asn(70_000), ..external() },
        Encoding { families: Families::IPV6, ..external() },
        // No next hop for IPv4.
        over_ipv6,
        Encoding { extended_next_hop: true, ..over_ipv6 },
    ]
}

fn prefixes(first: u16, count: u16) -> impl Iterator<Item = IpPrefix> {
    (first..(first + count).min(2 * PREFIXES)).map(|index| {
        let text = if index < PREFIXES {
            format!("10.0.{index}.0/24")
        } else {
            format!("2001:db8:0:{index:x}::/64")
        };
        prefix(&text)
    })
}

fn run() -> impl Strategy<Value = (u16, u16, usize)> {
    (0..2 * PREFIXES, prop_oneof![3 => 1_u16..4, 1 => 1..2 * PREFIXES], 0_usize..5)
}

fn op() -> impl Strategy<Value = Op> {
    let family = prop_oneof![Just(Family::Ipv4Unicast), Just(Family::Ipv6Unicast)];
    prop_oneof![
        6 => run().prop_map(|(first, count, route)| Op::Announce(first, count, route)),
        4 => run().prop_map(|(first, count, _)| Op::Withdraw(first, count)),
        2 => prop::collection::vec(run(), 0..8).prop_map(Op::SetWanted),
        2 => (0..encodings().len()).prop_map(Op::Establish),
        2 => any::<bool>().prop_map(Op::SetNextHop),
        1 => Just(Op::Lose),
        2 => Just(Op::HandOver),
        1 => Just(Op::Complete),
        3 => (family, any::<bool>()).prop_map(|(family, enhanced)| Op::Refresh(family, enhanced)),
        2 => any::<bool>().prop_map(Op::GracefulShutdown),
        6 => (1_u8..6).prop_map(Op::Take),
        2 => Just(Op::Drain),
    ]
}

struct Model {
    line: Line,
    routes: [Arc<Route>; 5],
    wanted: BTreeMap<IpPrefix, Arc<Route>>,
    is_complete: bool,
    is_shutting_down: bool,
}

impl Model {
    fn new() -> Self {
        Self {
            line: Line::default(),
            routes: routes(),
            wanted: BTreeMap::new(),
            is_complete: false,
            is_shutting_down: false,
        }
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Announce(first, count, route) => {
                let route = &self.routes[*route];
                for prefix in prefixes(*first, *count) {
                    self.line.rib.announce(prefix, route);
                    self.wanted.insert(prefix, Arc::clone(route));
                }
            }
            Op::Withdraw(first, count) => {
                for prefix in prefixes(*first, *count) {
                    self.line.rib.withdraw(prefix);
                    self.wanted.remove(&prefix);
                }
            }
            Op::SetWanted(runs) => {
                self.wanted = runs
                    .iter()
                    .flat_map(|(first, count, route)| {
                        prefixes(*first, *count).map(|prefix| (prefix, Arc::clone(&self.routes[*route])))
                    })
                    .collect();
                self.line.rib.set_wanted(&self.wanted);
            }
            Op::Establish(index) => self.line.establish(encodings()[*index]),
            Op::SetNextHop(is_there) => {
                if let Some(encoding) = self.line.encoding {
                    let next_hop_ipv6 = external().next_hop_ipv6.filter(|_| *is_there);
                    self.line.set_encoding(Encoding { next_hop_ipv6, ..encoding });
                }
            }
            Op::Lose => self.line.lose(),
            Op::HandOver => self.hand_over(),
            Op::Complete => {
                self.is_complete = true;
                self.line.rib.complete();
            }
            Op::Refresh(family, enhanced) => self.line.rib.refresh(*family, *enhanced),
            Op::GracefulShutdown(is_shutting_down) => {
                self.is_shutting_down = *is_shutting_down;
                self.line.rib.set_graceful_shutdown(*is_shutting_down);
            }
            Op::Take(count) => {
                for _ in 0..*count {
                    self.line.take();
                }
            }
            Op::Drain => self.drain(),
        }
    }

    fn hand_over(&mut self) {
        if self.line.encoding.is_none() {
            return;
        }
        let mut next = RibOut::new();
        next.set_wanted(&self.wanted);
        next.set_graceful_shutdown(self.is_shutting_down);
        if self.is_complete {
            next.complete();
        }
        self.line.hand_over(next);
    }

    /// After which the peer knows all that it is to know, and nothing else.
    fn drain(&mut self) {
        self.line.drain();
        assert!(!self.line.rib.has_pending());
        let known: Vec<_> = self.line.table.iter().map(|(prefix, told)| (*prefix, told.clone())).collect();
        let expected: Vec<_> = self
            .wanted
            .iter()
            .filter_map(|(prefix, route)| Some((*prefix, self.expected(*prefix, route)?)))
            .collect();
        assert_eq!(known, expected);
        let ended = self
            .line
            .encoding
            .filter(|_| self.is_complete)
            .map_or(Families::EMPTY, |encoding| encoding.families);
        assert_eq!(self.line.ended.iter().copied().collect::<Families>(), ended);
        let RibOut { tables, .. } = &self.line.rib;
        let entries: usize = tables.iter().into_iter().map(Table::len).sum();
        assert_eq!(entries, self.wanted.len(), "prefixes are kept as long as they are needed");
        let mut routes: Vec<_> = self.wanted.values().filter(|route| route.fits()).collect();
        routes.sort();
        routes.dedup();
        assert_eq!(self.line.rib.routes.len(), routes.len(), "routes are kept as long as they are needed");
    }

    /// What the peer is to know of a prefix, reckoned from the configurations above.
    fn expected(&self, prefix: IpPrefix, route: &Route) -> Option<peer::Told> {
        let encoding = self.line.encoding?;
        let family = Family::of(prefix.family());
        let is_over_ipv6 = encoding.local_address.is_ipv6();
        if !encoding.families.contains(family) || route.communities.len() > 960 {
            return None;
        }
        let link_local = "fe80::1".parse().unwrap();
        let next_hop = match (family, encoding.next_hop_ipv6) {
            (Family::Ipv4Unicast, _) if !is_over_ipv6 => NextHop::Ipv4("192.0.2.1".parse().unwrap()),
            (Family::Ipv4Unicast, _) if !encoding.extended_next_hop => return None,
            (_, Some(global)) if is_over_ipv6 => NextHop::Ipv6 { global, link_local: Some(link_local) },
            (_, None) if is_over_ipv6 => NextHop::Ipv6 { global: link_local, link_local: None },
            (_, global) => NextHop::Ipv6 { global: global?, link_local: None },
        };
        let local_pref = if self.is_shutting_down { 0 } else { route.local_pref.unwrap_or(100) };
        let mut communities: Vec<_> = route.communities.iter().copied().collect();
        communities.extend(self.is_shutting_down.then_some(Community::GRACEFUL_SHUTDOWN));
        Some(peer::Told {
            as_path: if encoding.is_internal { String::new() } else { encoding.local_asn.to_string() },
            next_hop,
            local_pref: encoding.is_internal.then_some(local_pref),
            communities,
            large_communities: Vec::new(),
            extended_communities: Vec::new(),
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_peer_that_applies_what_it_is_sent_knows_what_is_wanted(ops in prop::collection::vec(op(), 0..60)) {
        let mut model = Model::new();
        for op in &ops {
            model.apply(op);
        }
        model.drain();
    }
}
