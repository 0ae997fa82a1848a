//! UPDATEs in which one attribute has each combination of flags, each length, and odd values.

use ferrolb_wire::bgp::Decoding;

/// Of each type, what it should be, and values that may be wrong in more than their length.
const VALUES: &[(u8, &[&[u8]])] = &[
    (1, &[&[0], &[2], &[3], &[255]]),
    (
        2,
        &[
            &[2, 1, 0, 0, 0, 9],
            &[2, 1, 0, 9],
            &[2, 2, 0, 0, 0, 9],
            &[2, 1, 0, 0, 0, 9, 0],
            &[2, 1, 0, 0, 0, 9, 2, 1, 0, 0, 0, 8],
            &[2, 1, 0, 0, 0, 0],
            &[2, 0],
            &[0, 1, 0, 0, 0, 9],
            &[1, 1, 0, 0, 0, 9],
            &[3, 1, 0, 0, 0, 9],
            &[3, 1, 0, 9],
            &[4, 1, 0, 0, 0, 9],
            &[5, 1, 0, 0, 0, 9],
        ],
    ),
    (3, &[&[192, 0, 2, 1], &[0; 4], &[127, 0, 0, 1], &[224, 0, 0, 1], &[255; 4]]),
    (4, &[&[0, 0, 0, 9]]),
    (5, &[&[0, 0, 0, 9]]),
    (6, &[&[]]),
    (7, &[&[0, 0, 0, 9, 192, 0, 2, 9], &[0, 9, 192, 0, 2, 9], &[0, 0, 192, 0, 2, 9]]),
    (8, &[&[0, 1, 0, 2, 0, 1, 0, 2]]),
    (9, &[&[192, 0, 2, 9]]),
    (10, &[&[192, 0, 2, 9, 192, 0, 2, 8]]),
    (
        14,
        &[
            &[0, 2, 1, 16, 0x20, 1, 13, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 16, 0x20, 1],
            &[0, 2, 1, 16, 0x20, 1, 13, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 129, 0x20, 1],
            &[0, 2, 1, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0x20, 1],
            &[0, 1, 1, 4, 192, 0, 2, 1, 0, 8, 10],
            &[0, 1, 1, 4, 0, 0, 0, 0, 0, 8, 10],
            &[0, 2, 1, 4, 192, 0, 2, 1, 0, 8, 0x20],
            &[0, 25, 70, 4, 192, 0, 2, 1, 0],
            &[0, 25, 70, 4, 192],
        ],
    ),
    (15, &[&[0, 2, 1, 16, 0x20, 1], &[0, 2, 1, 129], &[0, 1, 1], &[0, 25, 70], &[0, 3, 1]]),
    (16, &[&[0, 4, 0, 9, 0, 0, 0, 0]]),
    (
        17,
        &[
            &[2, 1, 0, 1, 0, 0],
            &[1, 1, 0, 1, 0, 0],
            &[3, 1, 0, 1, 0, 0],
            &[2, 1, 0, 0, 0, 0],
            &[2, 2, 0, 1, 0, 0],
            &[1, 1, 0, 1, 0, 0, 2],
        ],
    ),
    (18, &[&[0, 1, 0, 0, 192, 0, 2, 9], &[0, 0, 0, 0, 192, 0, 2, 9]]),
    (25, &[&[0; 20]]),
    (32, &[&[0; 24]]),
    (35, &[&[0, 0, 0, 9]]),
    (99, &[&[1]]),
    (200, &[&[1, 2, 3]]),
];

/// Optional, Transitive, Partial, a length of two octets, and a bit without a meaning.
const FLAGS: [u8; 14] = [0x00, 0x20, 0x40, 0x41, 0x50, 0x60, 0x80, 0x81, 0x90, 0xa0, 0xc0, 0xd0, 0xe0, 0xf0];

/// 198.51.100.0/24.
const ROUTE: &[u8] = &[24, 198, 51, 100];

fn attribute(flags: u8, kind: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap().to_be_bytes();
    let length = if flags & 0x10 == 0 { &length[1..] } else { &length };
    [&[flags, kind][..], length, value].concat()
}

fn body(attributes: &[&[u8]], reachable: &[u8]) -> Vec<u8> {
    let attributes = attributes.concat();
    let length = u16::try_from(attributes.len()).unwrap();
    [&[0, 0][..], &length.to_be_bytes(), &attributes, reachable].concat()
}

/// With the attribute in the place of the one of its type, or beside all others; with a route, and
/// without.
fn bodies_with(kind: u8, attribute: &[u8], decoding: &Decoding) -> Vec<Vec<u8>> {
    let as_path: &[u8] = if decoding.four_octet_as {
        &[0x40, 2, 6, 2, 1, 0, 0, 0xfc, 1]
    } else {
        &[0x40, 2, 4, 2, 1, 0xfc, 1]
    };
    let local_pref: &[u8] = if decoding.is_internal { &[0x40, 5, 4, 0, 0, 0, 100] } else { &[] };
    let all = [&[0x40, 1, 1, 0][..], as_path, &[0x40, 3, 4, 192, 0, 2, 1], local_pref];
    let mut attributes: Vec<_> = all.into_iter().filter(|other| other.get(1) != Some(&kind)).collect();
    attributes.insert(attributes.len() / 2, attribute);
    [ROUTE, &[]].map(|route| body(&attributes, route)).into()
}

/// All that there are for a peer.
pub(super) fn bodies(decoding: &Decoding) -> impl Iterator<Item = Vec<u8>> + use<'_> {
    VALUES.iter().flat_map(move |(kind, values)| {
        let longest = values.iter().max_by_key(|value| value.len()).unwrap();
        let padded = [*longest, &[0; 24]].concat();
        let of_each_length = (0..25).map(move |length| padded[..length].to_vec());
        let values = values.iter().map(|value| value.to_vec()).chain(of_each_length);
        values.flat_map(move |value| {
            FLAGS
                .into_iter()
                .flat_map(move |flags| bodies_with(*kind, &attribute(flags, *kind, &value), decoding))
        })
    })
}
