//! A table as a file that GoBGP imports: MRT's `TABLE_DUMP_V2`, RFC 6396 §4.3.

use std::net::Ipv4Addr;

use anyhow::{Context, Result};

use crate::CONTENDER_ASN;

/// Routes to these addresses, as if the speaker at `local` had told them of itself.
pub(super) fn table_dump(local: Ipv4Addr, addresses: &[Ipv4Addr]) -> Result<Vec<u8>> {
    let local = local.octets();
    let mut dump = Vec::new();
    // Collector, a view without a name, one peer: with an AS number of four octets, of IPv4.
    let asn = CONTENDER_ASN.to_be_bytes();
    let peers = [&local[..], &[0, 0], &[0, 1], &[2], &local, &local, &asn].concat();
    append(PEER_INDEX_TABLE, &peers, &mut dump)?;
    let attributes = [&ORIGIN_IGP[..], &AS_PATH_EMPTY, &NEXT_HOP, &local].concat();
    let length = u16::try_from(attributes.len())?.to_be_bytes();
    for (number, address) in addresses.iter().enumerate() {
        let number = u32::try_from(number).context("MRT numbers routes with 32 bits")?.to_be_bytes();
        // One entry, of the first peer, since 1970.
        let entry = [&[0, 1][..], &[0, 0], &[0; 4], &length, attributes.as_slice()].concat();
        let route = [&number[..], &[32], &address.octets(), entry.as_slice()].concat();
        append(RIB_IPV4_UNICAST, &route, &mut dump)?;
    }
    Ok(dump)
}

/// Appends a record: time, type, subtype, length, and what it says.
fn append(subtype: u16, message: &[u8], dump: &mut Vec<u8>) -> Result<()> {
    dump.extend([0; 4]);
    dump.extend(TABLE_DUMP_V2.to_be_bytes());
    dump.extend(subtype.to_be_bytes());
    dump.extend(u32::try_from(message.len())?.to_be_bytes());
    dump.extend(message);
    Ok(())
}

const TABLE_DUMP_V2: u16 = 13;
const PEER_INDEX_TABLE: u16 = 1;
const RIB_IPV4_UNICAST: u16 = 2;

/// Flags, type, length and value: RFC 4271 §4.3.
const ORIGIN_IGP: [u8; 4] = [0x40, 1, 1, 0];
const AS_PATH_EMPTY: [u8; 3] = [0x40, 2, 0];
/// Without the address.
const NEXT_HOP: [u8; 3] = [0x40, 3, 4];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_is_one_peer_and_a_record_for_each_route() {
        let local = Ipv4Addr::new(192, 0, 2, 1);
        let dump = table_dump(local, &[Ipv4Addr::new(10, 77, 0, 0), Ipv4Addr::new(10, 77, 0, 1)]).unwrap();
        let mut records = Vec::new();
        let mut rest = dump.as_slice();
        while !rest.is_empty() {
            let length = u32::from_be_bytes(rest[8..12].try_into().unwrap()) as usize;
            records.push((rest[..8].to_vec(), rest[12..12 + length].to_vec()));
            rest = &rest[12 + length..];
        }
        let heads: Vec<_> = records.iter().map(|(head, _)| head.as_slice()).collect();
        assert_eq!(heads[0], [0, 0, 0, 0, 0, 13, 0, 1]);
        assert_eq!(heads[1..], [[0, 0, 0, 0, 0, 13, 0, 2]; 2]);
        let (_, second) = &records[2];
        assert_eq!(second[..9], [0, 0, 0, 1, 32, 10, 77, 0, 1]);
        assert_eq!(second[9..19], [0, 1, 0, 0, 0, 0, 0, 0, 0, 14]);
        assert_eq!(second[19..], [0x40, 1, 1, 0, 0x40, 2, 0, 0x40, 3, 4, 192, 0, 2, 1]);
    }
}
