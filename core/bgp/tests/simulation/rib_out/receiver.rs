//! A router's Adj-RIB-In. It reads UPDATEs by itself, so that what the codec writes wrongly, it does
//! not read wrongly too.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use ferrolb_bgp::Encoding;
use ferrolb_vocab::IpPrefix;

const ORIGIN: u8 = 1;
const AS_PATH: u8 = 2;
const NEXT_HOP: u8 = 3;
const LOCAL_PREF: u8 = 5;
const COMMUNITIES: u8 = 8;
const MP_REACH_NLRI: u8 = 14;
const MP_UNREACH_NLRI: u8 = 15;
const AS4_PATH: u8 = 17;

/// What a route looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// As it travels.
    pub(super) next_hop: Vec<u8>,
    pub(super) as_path: Vec<u32>,
    pub(super) local_pref: Option<u32>,
    pub(super) communities: Vec<u32>,
}

#[derive(Default)]
pub(super) struct Receiver {
    encoding: Option<Encoding>,
    pub(super) routes: BTreeMap<IpPrefix, Told>,
    /// The AFIs of which it was told that this is all.
    pub(super) ended: BTreeSet<u16>,
    /// Of the AFIs that are being refreshed, what has not been told again.
    refreshing: BTreeMap<u16, BTreeSet<IpPrefix>>,
    /// The kinds of messages that came.
    pub(super) words: BTreeSet<&'static str>,
}

impl Receiver {
    /// A session begins, or only ends.
    pub(super) fn begin(&mut self, encoding: Option<Encoding>) {
        *self = Self { encoding, words: std::mem::take(&mut self.words), ..Self::default() };
    }

    pub(super) fn take(&mut self, message: &[u8]) {
        assert!(message.len() <= 4_096, "{} octets", message.len());
        let (header, body) = message.split_at(19);
        assert_eq!(&header[..16], [0xff; 16]);
        assert_eq!(number(&header[16..18]), message.len(), "one message at a time");
        match header[18] {
            2 => self.update(body),
            5 => self.mark(body),
            other => panic!("message type {other}"),
        }
    }

    fn update(&mut self, body: &[u8]) {
        let (withdrawn, rest) = field(body, 2);
        let (mut rest, reachable) = field(rest, 2);
        let mut attributes = BTreeMap::new();
        let mut first = None;
        while let [flags, kind, after @ ..] = rest {
            let (value, after) = field(after, if flags & 0x10 == 0 { 1 } else { 2 });
            assert!(attributes.insert(*kind, value).is_none(), "attribute {kind} is there twice");
            first.get_or_insert(*kind);
            rest = after;
        }
        assert_eq!(rest, [], "attributes are whole");
        let reach = attributes.get(&MP_REACH_NLRI).copied();
        let unreach = attributes.get(&MP_UNREACH_NLRI).copied();
        // RFC 7606 §5.1.
        let fields = [!withdrawn.is_empty(), !reachable.is_empty(), reach.is_some(), unreach.is_some()];
        assert!(fields.into_iter().filter(|is_there| *is_there).count() <= 1, "{body:?}");
        assert!(fields == [false, true, false, false] || !attributes.contains_key(&NEXT_HOP));
        if let Some(reach) = reach {
            assert_eq!(first, Some(MP_REACH_NLRI));
            let (family, rest) = reach.split_at(3);
            let (next_hop, rest) = field(rest, 1);
            assert_eq!((family[2], rest[0]), (1, 0), "unicast, and a reserved octet");
            self.tell(&rest[1..], number(&family[..2]), next_hop, &attributes);
        } else if let Some(unreach) = unreach {
            let (family, prefixes) = unreach.split_at(3);
            self.withdraw(prefixes, number(&family[..2]));
        } else if !reachable.is_empty() {
            self.tell(reachable, 1, attributes[&NEXT_HOP], &attributes);
        } else {
            self.withdraw(withdrawn, 1);
        }
    }

    fn tell(&mut self, octets: &[u8], afi: usize, next_hop: &[u8], attributes: &BTreeMap<u8, &[u8]>) {
        self.words.insert("tell");
        assert_eq!(attributes[&ORIGIN], [0]);
        let numbers = |kind| attributes.get(&kind).map(|value| words(value)).unwrap_or_default();
        let told = Told {
            next_hop: next_hop.to_vec(),
            as_path: self.as_path(attributes),
            local_pref: attributes.contains_key(&LOCAL_PREF).then(|| numbers(LOCAL_PREF)[0]),
            communities: numbers(COMMUNITIES),
        };
        let prefixes = prefixes(octets, afi);
        assert!(!prefixes.is_empty());
        for prefix in prefixes {
            self.note(prefix);
            self.routes.insert(prefix, told.clone());
        }
    }

    /// RFC 6793 §4.2.3, of paths of one system at most.
    fn as_path(&self, attributes: &BTreeMap<u8, &[u8]>) -> Vec<u32> {
        let path = attributes[&AS_PATH];
        let encoding = self.encoding.expect("there is a session");
        let path = match attributes.get(&AS4_PATH).copied() {
            Some(in_four) => {
                assert!(!encoding.four_octet_as);
                assert_eq!(path, [2, 1, 0x5b, 0xa0], "AS_TRANS");
                in_four
            }
            None => {
                assert!(encoding.four_octet_as || path.is_empty());
                path
            }
        };
        if path.is_empty() {
            Vec::new()
        } else {
            words(path.strip_prefix(&[2, 1]).expect("a sequence of one"))
        }
    }

    /// Withdraws; nothing at all is End-of-RIB (RFC 4724 §2).
    fn withdraw(&mut self, octets: &[u8], afi: usize) {
        if octets.is_empty() {
            self.words.insert("end");
            assert!(self.ended.insert(u16::try_from(afi).unwrap()), "one End-of-RIB");
        }
        for prefix in prefixes(octets, afi) {
            self.words.insert("withdraw");
            self.note(prefix);
            assert!(self.routes.remove(&prefix).is_some(), "{prefix} was never told");
        }
    }

    fn note(&mut self, prefix: IpPrefix) {
        let afi = if prefix.network().is_ipv4() { 1 } else { 2 };
        assert!(self.encoding.is_some_and(|of| if afi == 1 { of.families.ipv4 } else { of.families.ipv6 }));
        if let Some(untold) = self.refreshing.get_mut(&afi) {
            untold.remove(&prefix);
        }
    }

    /// RFC 7313 §4.
    fn mark(&mut self, body: &[u8]) {
        let [high, low, subtype, 1] = body else { panic!("{body:?}") };
        let afi = u16::from_be_bytes([*high, *low]);
        match subtype {
            1 => {
                assert!(self.ended.contains(&afi), "a refresh before End-of-RIB");
                let is_of_family = |prefix: &&IpPrefix| prefix.network().is_ipv4() == (afi == 1);
                let known = self.routes.keys().filter(is_of_family).copied().collect();
                assert_eq!(self.refreshing.insert(afi, known), None, "one refresh at a time");
                self.words.insert("begin");
            }
            2 => {
                assert_eq!(self.refreshing.remove(&afi), Some(BTreeSet::new()), "all was told again");
                self.words.insert("finish");
            }
            other => panic!("subtype {other}"),
        }
    }
}

fn number(octets: &[u8]) -> usize {
    octets.iter().fold(0, |number, octet| number << 8 | usize::from(*octet))
}

/// A field behind its length, of so many octets, and what follows it.
fn field(octets: &[u8], width: usize) -> (&[u8], &[u8]) {
    let (length, rest) = octets.split_at(width);
    rest.split_at(number(length))
}

fn words(octets: &[u8]) -> Vec<u32> {
    let (words, rest) = octets.as_chunks();
    assert!(rest.is_empty(), "{octets:?}");
    words.iter().map(|word| u32::from_be_bytes(*word)).collect()
}

fn prefixes(mut octets: &[u8], afi: usize) -> Vec<IpPrefix> {
    let mut prefixes = Vec::new();
    while let [length, rest @ ..] = octets {
        let (significant, rest) = rest.split_at(usize::from(length.div_ceil(8)));
        let mut address = [0; 16];
        address[..significant.len()].copy_from_slice(significant);
        let address = match afi {
            1 => IpAddr::from([address[0], address[1], address[2], address[3]]),
            2 => Ipv6Addr::from(address).into(),
            other => panic!("AFI {other}"),
        };
        let prefix = IpPrefix::containing(address, *length).unwrap();
        assert_eq!(prefix.network(), address, "bits behind the prefix are zero");
        prefixes.push(prefix);
        octets = rest;
    }
    prefixes
}
