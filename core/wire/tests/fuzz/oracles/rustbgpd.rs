//! `rustbgpd-wire`, whose UPDATEs have the dispositions of RFC 7606.

use bytes::{Bytes, BytesMut};
use ferrolb_vocab::IpPrefix;
use ferrolb_wire::bgp::{Decoding, Family};
use rustbgpd_wire::attribute::{MpReachNlri, PathAttribute};
use rustbgpd_wire::nlri::{Ipv4NlriEntry, NlriEntry, Prefix};
use rustbgpd_wire::update::{ParsedUpdate, RevisedParsedUpdate};
use rustbgpd_wire::validate::{ErrorDisposition, validate_update_attributes};
use rustbgpd_wire::{
    Afi, DecodeError, Ipv4UnicastMode, MAX_MESSAGE_LEN, Message, UpdateMessage, decode_message,
    encode_message,
};

use super::Told;
use super::differences::Outcome;

/// What becomes of an UPDATE of this body.
pub(crate) fn outcome(body: &[u8], decoding: &Decoding) -> Outcome {
    let Ok(RevisedParsedUpdate { update, malformed }) = parse(body, decoding) else { return Outcome::Reset };
    let mut told = told(&update, decoding);
    let (has_routes, has_body_routes) = (!told.reachable.is_empty(), !update.announced.is_empty());
    let validated =
        validate_update_attributes(&update.attributes, has_routes, has_body_routes, !decoding.is_internal);
    let found = malformed.iter().map(|malformed| malformed.disposition);
    match found.chain(validated.err().map(|error| error.disposition)).max() {
        Some(ErrorDisposition::SessionReset) => Outcome::Reset,
        // RFC 7606 §5.2, which is for this codec's caller to see to.
        Some(ErrorDisposition::TreatAsWithdraw) if !has_routes => Outcome::Reset,
        Some(ErrorDisposition::TreatAsWithdraw) => {
            told.withdrawn.append(&mut told.reachable);
            Outcome::Withdrawn(told.withdrawn)
        }
        Some(ErrorDisposition::AttributeDiscard) | None => Outcome::Usable(Box::new(told)),
    }
}

/// An UPDATE of this body, read and written once more.
pub(crate) fn said_again(body: &[u8], decoding: &Decoding) -> Vec<u8> {
    let update = parse(body, decoding).unwrap().update;
    let ParsedUpdate { withdrawn, attributes, announced, .. } = &update;
    let four_octet_as = decoding.four_octet_as;
    let mode = Ipv4UnicastMode::Body;
    let update =
        UpdateMessage::try_build(announced, withdrawn, attributes, four_octet_as, false, mode).unwrap();
    let mut octets = BytesMut::new();
    update.encode(&mut octets).unwrap();
    octets.to_vec()
}

/// A message as it is read.
pub(crate) fn message(octets: &[u8]) -> Message {
    decode_message(&mut Bytes::copy_from_slice(octets), MAX_MESSAGE_LEN).unwrap()
}

/// A message as it is written.
pub(crate) fn octets(message: &Message) -> Vec<u8> {
    encode_message(message).unwrap().to_vec()
}

fn parse(body: &[u8], decoding: &Decoding) -> Result<RevisedParsedUpdate, DecodeError> {
    let update = UpdateMessage::decode(&mut Bytes::copy_from_slice(body), body.len())?;
    update.parse_revised(decoding.four_octet_as, decoding.is_internal, false, &[])
}

#[expect(clippy::wildcard_enum_match_arm, reason = "attributes that FerroLB has no use for")]
fn told(update: &ParsedUpdate, decoding: &Decoding) -> Told {
    let body = |entry: &Ipv4NlriEntry| prefix(Prefix::V4(entry.prefix));
    let mut told = Told {
        withdrawn: update.withdrawn.iter().map(body).collect(),
        reachable: update.announced.iter().map(body).collect(),
        ..Told::default()
    };
    let multiprotocol = |entry: &NlriEntry| prefix(entry.prefix);
    let mut body_next_hop = None;
    for attribute in &update.attributes {
        match attribute {
            PathAttribute::Origin(origin) => told.origin = Some(*origin as u8),
            PathAttribute::AsPath(path) => told.as_path = path.asns().collect(),
            PathAttribute::NextHop(address) => body_next_hop = Some(((*address).into(), None)),
            PathAttribute::Med(value) => told.multi_exit_disc = Some(*value),
            // RFC 4271 §5.1.5: not for an external peer to send.
            PathAttribute::LocalPref(value) => told.local_pref = decoding.is_internal.then_some(*value),
            PathAttribute::MpReachNlri(reach) => {
                told.reachable.extend(reach.announced.iter().map(multiprotocol));
                told.next_hops.insert(family(reach), (reach.next_hop, reach.link_local_next_hop));
            }
            PathAttribute::MpUnreachNlri(unreach) => {
                told.withdrawn.extend(unreach.withdrawn.iter().map(multiprotocol));
            }
            other => {
                told.communities.extend(other.communities().into_iter().flatten());
                let large = other.large_communities().into_iter().flatten();
                told.large_communities.extend(
                    large.map(|community| {
                        [community.global_admin, community.local_data1, community.local_data2]
                    }),
                );
                let extended = other.extended_communities().into_iter().flatten();
                told.extended_communities.extend(extended.map(|community| community.as_u64()));
            }
        }
    }
    // Routes of the body go by NEXT_HOP, and by nothing else.
    if !update.announced.is_empty() {
        told.next_hops.remove(&Family::Ipv4Unicast);
        told.next_hops.extend(body_next_hop.map(|next_hop| (Family::Ipv4Unicast, next_hop)));
    }
    told
}

fn family(reach: &MpReachNlri) -> Family {
    if reach.afi == Afi::Ipv4 { Family::Ipv4Unicast } else { Family::Ipv6Unicast }
}

fn prefix(prefix: Prefix) -> IpPrefix {
    let (address, length) = match prefix {
        Prefix::V4(prefix) => (prefix.addr.into(), prefix.len),
        Prefix::V6(prefix) => (prefix.addr.into(), prefix.len),
    };
    IpPrefix::containing(address, length).unwrap()
}
