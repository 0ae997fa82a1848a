//! The other end: a peer that applies what it is sent, and takes nothing that it should not get.

use super::*;
use alloc::collections::BTreeSet;
use alloc::string::String;
use ferrolb_wire::bgp::{
    Decoding, Disposition, Frame, MESSAGE_MAX, MessageType, RouteRefresh, Subtype, Update,
};

/// A message in words, or what the peer holds of a route.
pub(super) fn words<T: ToString>(head: &str, items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().fold(String::from(head), |words, item| words + " " + &item.to_string())
}

/// What a route looks like to the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) as_path: String,
    pub(super) next_hop: NextHop,
    pub(super) local_pref: Option<u32>,
    pub(super) communities: Vec<Community>,
    pub(super) large_communities: Vec<LargeCommunity>,
    pub(super) extended_communities: Vec<ExtendedCommunity>,
}

/// A [`RibOut`] and the peer at the other end of its session.
#[derive(Default)]
pub(super) struct Line {
    pub(super) rib: RibOut,
    pub(super) encoding: Option<Encoding>,
    /// The peer's Adj-RIB-In.
    pub(super) table: BTreeMap<IpPrefix, Told>,
    /// The families of which it was told that this is all, in this session.
    pub(super) ended: Vec<Family>,
    /// Of the families that are being refreshed, what has not been told again yet.
    refreshing: BTreeMap<Family, BTreeSet<IpPrefix>>,
}

impl Line {
    /// With a session, and all that is wanted known.
    pub(super) fn established(encoding: Encoding) -> Self {
        let mut line = Self::default();
        line.rib.complete();
        line.establish(encoding);
        line
    }

    pub(super) fn establish(&mut self, encoding: Encoding) {
        self.forget();
        self.encoding = Some(encoding);
        self.rib.established(&encoding);
    }

    /// Within the session.
    pub(super) fn set_encoding(&mut self, encoding: Encoding) {
        self.encoding = Some(encoding);
        self.rib.set_encoding(&encoding);
    }

    pub(super) fn lose(&mut self) {
        self.forget();
        self.rib.lost();
    }

    /// The session goes on with the routes of another process.
    pub(super) fn hand_over(&mut self, mut next: RibOut) {
        let encoding = self.encoding.expect("there is a session");
        let advertised = Family::ALL.into_iter().flat_map(|family| self.rib.advertised(family));
        let advertised = advertised.map(|(prefix, _)| prefix).collect();
        next.resume(&encoding, &advertised, self.rib.refreshing());
        self.rib = next;
        // The peer is told so again.
        self.ended.clear();
    }

    fn forget(&mut self) {
        self.encoding = None;
        self.table.clear();
        self.ended.clear();
        self.refreshing.clear();
    }

    /// The peer takes a message, and what it says in words.
    pub(super) fn take(&mut self) -> Option<String> {
        let mut octets = Vec::from([7]);
        let has_pending = self.rib.has_pending();
        assert_eq!(self.rib.next_message(&mut octets), has_pending, "what is pending is sent");
        let (seven, message) = octets.split_first().unwrap();
        assert_eq!(*seven, 7, "messages are appended");
        if !has_pending {
            assert_eq!(message, [], "nothing is sent without saying so");
            return None;
        }
        assert!(message.len() <= MESSAGE_MAX, "{} octets", message.len());
        let (frame, length) = Frame::next(message).unwrap().unwrap();
        assert_eq!(length, message.len(), "one message at a time");
        let words = match frame.message_type {
            MessageType::Update => self.handle_update(frame.body),
            MessageType::RouteRefresh => self.handle_mark(RouteRefresh::parse(frame.body, true).unwrap()),
            other @ (MessageType::Open | MessageType::Notification | MessageType::Keepalive) => {
                panic!("a {other:?} is not for the Adj-RIB-Out to send")
            }
        };
        for family in Family::ALL {
            let known = self.table.keys().filter(|prefix| prefix.family() == family.ip_family());
            assert_eq!(self.rib.statistics(family).advertised, known.count());
        }
        Some(words)
    }

    /// All messages until there are no more.
    pub(super) fn drain(&mut self) -> Vec<String> {
        core::iter::from_fn(|| self.take()).take(10_000).collect()
    }

    fn handle_update(&mut self, body: &[u8]) -> String {
        judge_fields(body);
        let encoding = self.encoding.expect("there is a session");
        let decoding = Decoding {
            four_octet_as: encoding.four_octet_as,
            is_internal: encoding.is_internal,
            local_asn: PEER_ASN,
            families: encoding.families,
        };
        let update = Update::parse(body, &decoding).unwrap();
        assert_eq!(update.disposition(), Disposition::Accept);
        assert!(update.discarded().is_empty(), "{:?}", update.discarded());
        if let Some(family) = update.end_of_rib() {
            assert!(encoding.families.contains(family) && !self.ended.contains(&family), "{family:?}");
            assert_eq!(self.rib.statistics(family).pending, 0, "that is all");
            self.ended.push(family);
            return words("end of", [family.name()]);
        }
        let (withdrawn, reachable): (Vec<_>, Vec<_>) =
            (update.withdrawn().collect(), update.reachable().collect());
        assert_ne!(withdrawn.is_empty(), reachable.is_empty(), "one or the other");
        for prefix in withdrawn.iter().chain(&reachable) {
            assert!(encoding.families.contains(Family::of(prefix.family())), "{prefix}");
            if let Some(stale) = self.refreshing.get_mut(&Family::of(prefix.family())) {
                stale.remove(prefix);
            }
        }
        for prefix in &withdrawn {
            assert!(self.table.remove(prefix).is_some(), "{prefix} was never announced");
        }
        for prefix in &reachable {
            self.table.insert(*prefix, told(&update, Family::of(prefix.family())));
        }
        if reachable.is_empty() { words("withdraw", withdrawn) } else { words("announce", reachable) }
    }

    /// RFC 7313 §4: a refresh begins after End-of-RIB, and at its end nothing is left untold.
    fn handle_mark(&mut self, mark: RouteRefresh) -> String {
        let family = mark.family.unwrap();
        match mark.subtype {
            Subtype::BeginningOfRefresh => {
                assert!(self.ended.contains(&family), "{family:?} is refreshed before its End-of-RIB");
                let known = self.table.keys().filter(|prefix| Family::of(prefix.family()) == family);
                let is_running = self.refreshing.insert(family, known.copied().collect()).is_some();
                assert!(!is_running, "one refresh of {family:?} at a time");
                words("begin refresh of", [family.name()])
            }
            Subtype::EndOfRefresh => {
                assert_eq!(self.refreshing.remove(&family), Some(BTreeSet::new()));
                words("end refresh of", [family.name()])
            }
            other @ (Subtype::Request | Subtype::Unknown(_)) => {
                panic!("{other:?} is not for a speaker that asks for nothing")
            }
        }
    }
}

fn told(update: &Update<'_>, family: Family) -> Told {
    Told {
        as_path: update.as_path().to_string(),
        next_hop: update.next_hop(family).unwrap(),
        local_pref: update.local_pref(),
        communities: update.communities().collect(),
        large_communities: update.large_communities().collect(),
        extended_communities: update.extended_communities().collect(),
    }
}

/// RFC 7606 §5.1: routes are in the body or in attributes 14 and 15, of which one is there at most.
fn judge_fields(body: &[u8]) {
    let two = |at: usize| usize::from(u16::from_be_bytes([body[at], body[at + 1]]));
    let withdrawn = two(0);
    let mut attributes = &body[withdrawn + 4..][..two(withdrawn + 2)];
    let reachable = body.len() - withdrawn - 4 - attributes.len();
    let mut fields = usize::from(withdrawn > 0) + usize::from(reachable > 0);
    while let [flags, kind, rest @ ..] = attributes {
        let is_extended = flags & 0x10 != 0;
        let length =
            if is_extended { usize::from(u16::from_be_bytes([rest[0], rest[1]])) } else { rest[0].into() };
        fields += usize::from([14, 15].contains(kind));
        attributes = &rest[length + if is_extended { 2 } else { 1 }..];
    }
    assert!(fields <= 1, "{body:?}");
}
