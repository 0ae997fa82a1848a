//! Any octets, and UPDATEs changed at random.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

/// Attributes as they should be, to be changed.
const ATTRIBUTES: &[&[u8]] = &[
    &[
        0x80, 14, 28, 0, 2, 1, 16, 0x20, 1, 13, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 48, 0x20, 1, 13,
        0xb8, 0, 5,
    ],
    ORIGIN,
    AS_PATH,
    NEXT_HOP,
    &[0x80, 4, 4, 0, 0, 0, 9],
    LOCAL_PREF,
    &[0x40, 6, 0],
    &[0xc0, 7, 8, 0, 0, 0xfc, 1, 192, 0, 2, 9],
    &[0xc0, 8, 4, 0xfc, 0, 0, 1],
    &[0x80, 9, 4, 192, 0, 2, 9],
    &[0x80, 10, 4, 192, 0, 2, 9],
    &[0x80, 15, 5, 0, 2, 1, 8, 0x20],
    &[0xc0, 16, 8, 0, 4, 0, 1, 0, 0, 0, 0],
    &[0xc0, 17, 6, 2, 1, 0, 1, 0, 0],
    &[0xc0, 18, 8, 0, 1, 0, 0, 192, 0, 2, 9],
    &[0xc0, 32, 12, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3],
    &[0xd0, 200, 0, 2, 1, 2],
];

fn decoding() -> impl Strategy<Value = Decoding> {
    any::<[bool; 4]>().prop_map(|[four_octet_as, is_internal, ipv4, ipv6]| Decoding {
        four_octet_as,
        is_internal,
        local_asn: Asn(64_512),
        families: Families { ipv4, ipv6 },
    })
}

/// Reads everything that can be read, and checks what holds for any UPDATE.
fn read_all(octets: &[u8], decoding: &Decoding) -> Result<(), TestCaseError> {
    let update = match Update::parse(octets, decoding) {
        Ok(update) => update,
        Err(error) => {
            let notification = error.notification();
            prop_assert_eq!(notification.code, 3);
            prop_assert!(!notification.subcode_name().is_empty());
            prop_assert!(notification.data.len() <= octets.len() && !error.to_string().is_empty());
            return Ok(());
        }
    };
    let told = update.withdrawn().count() + update.reachable().count();
    prop_assert!(told <= octets.len());
    if let Disposition::TreatAsWithdraw(malformed) = update.disposition() {
        prop_assert!(!malformed.to_string().is_empty());
        prop_assert_eq!(update.reachable().next(), None);
    } else if update.reachable().next().is_some() {
        prop_assert!(update.origin().is_some());
        prop_assert!(update.local_pref().is_some() == decoding.is_internal);
        prop_assert!(Family::ALL.into_iter().any(|family| update.next_hop(family).is_some()));
    }
    for prefix in update.withdrawn().chain(update.reachable()) {
        prop_assert!(decoding.families.contains(Family::of(prefix.family())));
    }
    if update.end_of_rib().is_some() {
        prop_assert_eq!(told, 0);
    }
    let path = update.as_path();
    prop_assert!(path.length() <= octets.len() && path.to_string().len() <= 6 * octets.len());
    prop_assert!(!path.contains(Asn(0)));
    let _is_loop = update.has_loop();
    let communities = update.communities().count() * 4
        + update.large_communities().count() * 12
        + update.extended_communities().count() * 8;
    prop_assert!(communities <= octets.len());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn arbitrary_octets_never_panic(octets in vec(any::<u8>(), 0..300), decoding in decoding()) {
        read_all(&octets, &decoding)?;
    }

    #[test]
    fn arbitrary_attributes_never_panic(
        attributes in vec((any::<u8>(), 0_u8..36, vec(any::<u8>(), 0..40)), 0..12),
        route in vec(any::<u8>(), 0..6), decoding in decoding(),
    ) {
        let attributes: Vec<Vec<u8>> = attributes
            .iter()
            .map(|(flags, code, value)| attribute(flags & 0xe0, *code, value))
            .collect();
        let attributes: Vec<&[u8]> = attributes.iter().map(Vec::as_slice).collect();
        read_all(&body(&[], &attributes, &route), &decoding)?;
    }

    #[test]
    fn an_update_changed_at_random_never_panics(
        picked in proptest::sample::subsequence(ATTRIBUTES, 0..ATTRIBUTES.len()),
        changes in vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<Option<proptest::sample::Index>>(), decoding in decoding(),
    ) {
        let mut octets = body(&[8, 10], &picked, &[24, 198, 51, 100, 32, 203, 0, 113, 7]);
        for (at, octet) in changes {
            let at = at.index(octets.len());
            octets[at] = octet;
        }
        if let Some(cut) = cut {
            octets.truncate(cut.index(octets.len()));
        }
        read_all(&octets, &decoding)?;
    }
}
