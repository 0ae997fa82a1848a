use super::*;
use proptest::prelude::*;
use std::string::ToString;

fn texts(octets: &[u8], family: Family) -> Option<Vec<std::string::String>> {
    Some(Prefixes::parse(octets, family)?.map(|prefix| prefix.to_string()).collect())
}

#[test]
fn a_prefix_is_its_length_and_as_many_octets_as_hold_it() {
    let octets = [0, 8, 10, 9, 172, 0x80, 24, 192, 0, 2, 32, 198, 51, 100, 7];
    let prefixes = texts(&octets, Family::Ipv4Unicast).unwrap();
    assert_eq!(prefixes, ["0.0.0.0/0", "10.0.0.0/8", "172.128.0.0/9", "192.0.2.0/24", "198.51.100.7/32"]);
    let octets = [0, 33, 0x20, 0x01, 0x0d, 0xb8, 0x80];
    assert_eq!(texts(&octets, Family::Ipv6Unicast).unwrap(), ["::/0", "2001:db8:8000::/33"]);
}

#[test]
fn bits_behind_a_prefix_mean_nothing() {
    assert_eq!(texts(&[9, 172, 0xff], Family::Ipv4Unicast).unwrap(), ["172.128.0.0/9"]);
}

#[test]
fn a_prefix_that_is_too_long_or_cut_short_spoils_the_field() {
    let address = [0; 17];
    for (first, family) in [(33, Family::Ipv4Unicast), (255, Family::Ipv4Unicast), (129, Family::Ipv6Unicast)]
    {
        let octets = [&[8, 10, first][..], &address].concat();
        assert!(Prefixes::parse(&octets, family).is_none(), "a length of {first}");
    }
    for cut in [&[8_u8][..], &[24, 192, 0], &[8, 10, 32, 1, 2, 3]] {
        assert!(Prefixes::parse(cut, Family::Ipv4Unicast).is_none(), "{cut:?}");
    }
    assert!(Prefixes::parse(&[&[128][..], &[0; 15]].concat(), Family::Ipv6Unicast).is_none());
}

/// Any prefix of `family`.
fn prefix(family: Family) -> impl Strategy<Value = IpPrefix> {
    let family = family.ip_family();
    (any::<u128>(), 0..=family.bits())
        .prop_map(move |(value, length)| IpPrefix::containing(family.address(value), length).unwrap())
}

proptest! {
    #[test]
    fn what_is_appended_is_read_back(
        ipv4 in proptest::collection::vec(prefix(Family::Ipv4Unicast), 0..50),
        ipv6 in proptest::collection::vec(prefix(Family::Ipv6Unicast), 0..50),
    ) {
        for (family, prefixes) in [(Family::Ipv4Unicast, ipv4), (Family::Ipv6Unicast, ipv6)] {
            let mut octets = Vec::new();
            for prefix in &prefixes {
                let before = octets.len();
                append(*prefix, &mut octets);
                prop_assert_eq!(octets.len() - before, length(*prefix));
            }
            let read: Vec<_> = Prefixes::parse(&octets, family).unwrap().collect();
            prop_assert_eq!(read, prefixes);
        }
    }

    #[test]
    fn arbitrary_octets_never_panic_and_what_is_read_has_at_least_one_octet_each(octets: Vec<u8>) {
        for family in Family::ALL {
            if let Some(prefixes) = Prefixes::parse(&octets, family) {
                prop_assert!(prefixes.count() <= octets.len());
            }
        }
    }
}
