//! `netgauze-bgp-pkt`, for AS numbers of four octets.

use ferrolb_vocab::IpPrefix;
use ferrolb_wire::bgp::Family;
use netgauze_bgp_pkt::BgpMessage;
use netgauze_bgp_pkt::nlri::Ipv4UnicastAddress;
use netgauze_bgp_pkt::path_attribute::{AsPath, MpReach, MpUnreach, PathAttributeValue};
use netgauze_bgp_pkt::update::BgpUpdateMessage;
use netgauze_bgp_pkt::wire::deserializer::BgpParsingContext;
use netgauze_parse_utils::WritablePdu;
use netgauze_parse_utils::reader::SliceReader;
use netgauze_parse_utils::traits::ParseFromWithOneInput;

use super::Told;

/// A message as it is read.
pub(crate) fn message(octets: &[u8]) -> BgpMessage {
    BgpMessage::parse(&mut SliceReader::new(octets), &mut BgpParsingContext::default()).unwrap()
}

/// A message as it is written.
pub(crate) fn octets(message: &BgpMessage) -> Vec<u8> {
    let mut octets = Vec::new();
    message.write(&mut octets).unwrap();
    octets
}

/// What an UPDATE says, extended communities aside: they have types of their own for each kind.
#[expect(clippy::wildcard_enum_match_arm, reason = "attributes that FerroLB has no use for")]
pub(crate) fn told(update: &BgpUpdateMessage) -> Told {
    let body = |address: &Ipv4UnicastAddress| prefix(address.network());
    let mut told = Told {
        withdrawn: update.withdraw_routes().iter().map(body).collect(),
        reachable: update.nlri().iter().map(body).collect(),
        ..Told::default()
    };
    for attribute in update.path_attributes() {
        match attribute.value() {
            PathAttributeValue::Origin(origin) => told.origin = Some(*origin as u8),
            PathAttributeValue::AsPath(AsPath::As4PathSegments(segments)) => {
                told.as_path = segments.iter().flat_map(|segment| segment.as_numbers()).copied().collect();
            }
            PathAttributeValue::NextHop(next_hop) => {
                told.next_hops.insert(Family::Ipv4Unicast, (next_hop.next_hop().into(), None));
            }
            PathAttributeValue::MultiExitDiscriminator(value) => told.multi_exit_disc = Some(value.metric()),
            PathAttributeValue::LocalPreference(value) => told.local_pref = Some(value.metric()),
            PathAttributeValue::Communities(list) => {
                told.communities = list.communities().iter().map(|community| community.value()).collect();
            }
            PathAttributeValue::LargeCommunities(list) => {
                let communities = list.communities().iter();
                told.large_communities = communities
                    .map(|large| [large.global_admin(), large.local_data1(), large.local_data2()])
                    .collect();
            }
            PathAttributeValue::MpReach(reach) => reachable(reach, &mut told),
            PathAttributeValue::MpUnreach(MpUnreach::Ipv6Unicast { nlri }) => {
                told.withdrawn.extend(nlri.iter().map(|address| prefix(address.network())));
            }
            _other => {}
        }
    }
    told
}

#[expect(clippy::wildcard_enum_match_arm, reason = "families that FerroLB has no routes of")]
fn reachable(reach: &MpReach, told: &mut Told) {
    match reach {
        MpReach::Ipv4Unicast { next_hop, next_hop_local, nlri } => {
            told.next_hops.insert(Family::Ipv4Unicast, (*next_hop, *next_hop_local));
            told.reachable.extend(nlri.iter().map(|address| prefix(address.network())));
        }
        MpReach::Ipv6Unicast { next_hop_global, next_hop_local, nlri } => {
            told.next_hops.insert(Family::Ipv6Unicast, ((*next_hop_global).into(), *next_hop_local));
            told.reachable.extend(nlri.iter().map(|address| prefix(address.network())));
        }
        other => panic!("{other:?} is not what FerroLB sends"),
    }
}

/// A prefix, by the text that both show it as.
fn prefix(network: impl ToString) -> IpPrefix {
    network.to_string().parse().unwrap()
}
