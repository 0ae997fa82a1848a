//! The checks of an UPDATE, and what becomes of one that fails them: RFC 7606.

use core::net::Ipv4Addr;

use ferrolb_vocab::Asn;

use super::value::{Action, BAD_VALUE, aggregator, as4_path, fixed, list, next_hop};
use super::{Decoding, Disposition, Update, Values};
use crate::bgp::nlri::Prefixes;
use crate::bgp::path_attribute::{AsPath, AttributeType, AttributeTypes, Defect, Malformed, PathAttribute};
use crate::bgp::{Error, Family, NextHop, Origin};
use crate::cursor::{Reader, Truncated};

pub(super) fn parse<'a>(body: &'a [u8], decoding: &Decoding) -> Result<Update<'a>, Error> {
    let mut reader = Reader::new(body);
    // RFC 4271 §6.3: lengths that exceed the message.
    let too_long = |_truncated: Truncated| Error::MalformedAttributeList;
    let length = reader.u16().map_err(too_long)?;
    let withdrawn = reader.octets(usize::from(length)).map_err(too_long)?;
    let length = reader.u16().map_err(too_long)?;
    let attributes = reader.octets(usize::from(length)).map_err(too_long)?;
    let network_field = |octets| Prefixes::parse(octets, Family::Ipv4Unicast).ok_or(Error::NetworkField);
    let withdrawn = network_field(withdrawn)?;
    let reachable = network_field(reader.rest())?;

    let mut parser = Parser::new(decoding, !reachable.is_empty());
    parser.take_all(attributes)?;
    parser.require(&reachable)?;
    Ok(parser.finish(withdrawn, reachable))
}

/// What was found so far.
struct Parser<'a, 'd> {
    decoding: &'d Decoding,
    seen: AttributeTypes,
    discarded: AttributeTypes,
    /// The first attribute because of which routes are treated as withdrawn, and its octets.
    malformed: Option<(Malformed, &'a [u8])>,
    /// Whether any routes are told, be they of a family that is in use or not.
    has_reachable: bool,
    reach: Option<(Family, NextHop, Prefixes<'a>)>,
    unreach: Option<(Family, Prefixes<'a>)>,
    as4_path: Option<AsPath<'a>>,
    aggregator: Option<Asn>,
    has_as4_aggregator: bool,
    values: Values<'a>,
}

impl<'a, 'd> Parser<'a, 'd> {
    fn new(decoding: &'d Decoding, has_reachable: bool) -> Self {
        Self {
            decoding,
            seen: AttributeTypes::default(),
            discarded: AttributeTypes::default(),
            malformed: None,
            has_reachable,
            reach: None,
            unreach: None,
            as4_path: None,
            aggregator: None,
            has_as4_aggregator: false,
            values: Values::default(),
        }
    }

    /// Takes one attribute after the other. The strongest action wins: a reset at once, and what is
    /// to be treated as withdrawn stays so, whatever is discarded (RFC 7606 §3 h).
    fn take_all(&mut self, attributes: &'a [u8]) -> Result<(), Error> {
        let mut reader = Reader::new(attributes);
        while !reader.is_empty() {
            match PathAttribute::read(&mut reader) {
                Ok(attribute) => {
                    let action = self.take(&attribute).err();
                    self.act(action, attribute.attribute, attribute.octets)?;
                }
                // RFC 7606 §4; but §3 j where routes are lost with it.
                Err(cut) => {
                    let action = if cut.attribute.carries_routes() {
                        Action::SessionReset(Defect::Truncated)
                    } else {
                        Action::TreatAsWithdraw(Defect::Truncated)
                    };
                    return self.act(Some(action), cut.attribute, cut.octets);
                }
            }
        }
        Ok(())
    }

    fn act(
        &mut self,
        action: Option<Action>,
        attribute: AttributeType,
        octets: &'a [u8],
    ) -> Result<(), Error> {
        match action {
            None => Ok(()),
            Some(Action::Discard) => {
                self.discarded.insert(attribute);
                Ok(())
            }
            Some(Action::TreatAsWithdraw(defect)) => {
                self.malformed.get_or_insert((Malformed { attribute, defect }, octets));
                Ok(())
            }
            Some(Action::SessionReset(defect)) => {
                Err(Error::Attribute { malformed: Malformed { attribute, defect }, octets: octets.into() })
            }
        }
    }

    /// Checks an attribute, and keeps what it says.
    fn take(&mut self, attribute: &PathAttribute<'a>) -> Result<(), Action> {
        let PathAttribute { attribute: kind, value, .. } = *attribute;
        let is_first = self.seen.insert(kind);
        match kind.flags() {
            // RFC 7606 §3 g.
            Some(_) if !is_first && kind.carries_routes() => Err(Action::SessionReset(Defect::Duplicate)),
            Some(_) | None if !is_first || self.is_out_of_place(kind) => Err(Action::Discard),
            // RFC 4271 §6.3.
            None if !attribute.is_optional() => Err(Action::SessionReset(Defect::Unrecognized)),
            None => Ok(()),
            Some(flags) if attribute.has_flags(flags) => self.take_value(kind, value),
            // RFC 7606 §3 c; §5.3 for the two that carry routes.
            Some(_) if kind.carries_routes() => Err(Action::SessionReset(Defect::Flags)),
            Some(_) => Err(Action::TreatAsWithdraw(Defect::Flags)),
        }
    }

    /// Whether an attribute is not this peer's to send, and so discarded whatever it says: RFC 7606
    /// §7.5, §7.9, §7.10, RFC 6793 §4.1.
    fn is_out_of_place(&self, attribute: AttributeType) -> bool {
        match attribute {
            AttributeType::LOCAL_PREF | AttributeType::ORIGINATOR_ID | AttributeType::CLUSTER_LIST => {
                !self.decoding.is_internal
            }
            AttributeType::AS4_PATH | AttributeType::AS4_AGGREGATOR => self.decoding.four_octet_as,
            _other => false,
        }
    }

    /// RFC 7606 §7, in its order.
    fn take_value(&mut self, attribute: AttributeType, value: &'a [u8]) -> Result<(), Action> {
        let values = &mut self.values;
        match attribute {
            AttributeType::ORIGIN => {
                let [code] = fixed(value)?;
                values.origin = Some(Origin::of_code(code).ok_or(BAD_VALUE)?);
            }
            AttributeType::AS_PATH => {
                values.as_path = AsPath::parse(value, self.decoding.four_octet_as)
                    // RFC 5065 §5: confederations have no place between systems.
                    .filter(|path| self.decoding.is_internal || !path.has_confederation())
                    .filter(|path| !path.has_set())
                    .ok_or(BAD_VALUE)?;
            }
            AttributeType::NEXT_HOP => values.next_hop = Some(Ipv4Addr::from(fixed(value)?)),
            AttributeType::MULTI_EXIT_DISC => {
                values.multi_exit_disc = Some(u32::from_be_bytes(fixed(value)?));
            }
            AttributeType::LOCAL_PREF => values.local_pref = Some(u32::from_be_bytes(fixed(value)?)),
            AttributeType::ATOMIC_AGGREGATE if !value.is_empty() => return Err(Action::Discard),
            AttributeType::AGGREGATOR => {
                self.aggregator = Some(aggregator(value, self.decoding.four_octet_as)?);
            }
            AttributeType::COMMUNITIES => values.communities = list(value)?,
            AttributeType::ORIGINATOR_ID => {
                let _id: [u8; 4] = fixed(value)?;
            }
            AttributeType::CLUSTER_LIST => {
                let _ids: &[[u8; 4]] = list(value)?;
            }
            AttributeType::MP_REACH_NLRI => self.take_reach(value)?,
            AttributeType::MP_UNREACH_NLRI => self.take_unreach(value)?,
            AttributeType::EXTENDED_COMMUNITIES => values.extended_communities = list(value)?,
            AttributeType::AS4_PATH => self.as4_path = Some(as4_path(value)?),
            AttributeType::AS4_AGGREGATOR => {
                aggregator(value, true)?;
                self.has_as4_aggregator = true;
            }
            AttributeType::IPV6_EXTENDED_COMMUNITIES => {
                let _communities: &[[u8; 20]] = list(value)?;
            }
            AttributeType::LARGE_COMMUNITIES => values.large_communities = list(value)?,
            _of_no_length => {}
        }
        Ok(())
    }

    /// RFC 7606 §5.3, §7.11; RFC 4760 §3, RFC 2545 §3, RFC 8950 §3. Routes of a family that is not
    /// in use are not looked at.
    fn take_reach(&mut self, value: &'a [u8]) -> Result<(), Action> {
        let bad_length = |_truncated| Action::SessionReset(Defect::Length);
        let mut reader = Reader::new(value);
        if value.len() < REACH_MIN {
            return Err(Action::SessionReset(Defect::Length));
        }
        let family = Family::read(&mut reader).map_err(bad_length)?;
        let length = usize::from(reader.u8().map_err(bad_length)?);
        let Some(family) = family.filter(|family| self.decoding.families.contains(*family)) else {
            // Whatever else it is, it is more than a next hop and a reserved octet.
            self.has_reachable |= reader.rest().len() > length + 1;
            return Ok(());
        };
        let next_hop = next_hop(reader.octets(length).map_err(bad_length)?, family)
            .ok_or(Action::SessionReset(Defect::Length))?;
        let _reserved = reader.u8().map_err(bad_length)?;
        let prefixes = Prefixes::parse(reader.rest(), family).ok_or(Action::SessionReset(Defect::Value))?;
        self.has_reachable |= !prefixes.is_empty();
        self.reach = Some((family, next_hop, prefixes));
        Ok(())
    }

    /// RFC 7606 §5.3, §7.12; RFC 4760 §4.
    fn take_unreach(&mut self, value: &'a [u8]) -> Result<(), Action> {
        let mut reader = Reader::new(value);
        let family = Family::read(&mut reader).map_err(|_truncated| Action::SessionReset(Defect::Length))?;
        if let Some(family) = family.filter(|family| self.decoding.families.contains(*family)) {
            let prefixes =
                Prefixes::parse(reader.rest(), family).ok_or(Action::SessionReset(Defect::Value))?;
            self.unreach = Some((family, prefixes));
        }
        Ok(())
    }

    /// What routes cannot be without (RFC 7606 §3 d); and that there are routes, where something
    /// is wrong (§5.2).
    fn require(&mut self, reachable: &Prefixes<'_>) -> Result<(), Error> {
        if !self.has_reachable {
            // Routes may be what was not understood.
            return match self.malformed {
                Some((malformed, octets)) => Err(Error::Attribute { malformed, octets: octets.into() }),
                None => Ok(()),
            };
        }
        let has_body_routes = !reachable.is_empty();
        let required = [
            (AttributeType::ORIGIN, true),
            (AttributeType::AS_PATH, true),
            // RFC 4760 §3: routes in MP_REACH_NLRI have a next hop of their own.
            (AttributeType::NEXT_HOP, has_body_routes),
            // RFC 4271 §5.1.5.
            (AttributeType::LOCAL_PREF, self.decoding.is_internal),
        ];
        let missing = required
            .into_iter()
            .find(|(attribute, is_required)| *is_required && !self.seen.contains(*attribute))
            .map(|(attribute, _)| Malformed { attribute, defect: Defect::Missing });
        // RFC 4271 §6.3: an IP host address.
        let is_no_host =
            |address: Ipv4Addr| address.is_unspecified() || address.is_multicast() || address.is_broadcast();
        let bad_next_hop = (has_body_routes && self.values.next_hop.is_some_and(is_no_host))
            .then_some(Malformed { attribute: AttributeType::NEXT_HOP, defect: Defect::Value });
        self.malformed = self.malformed.or(missing.or(bad_next_hop).map(|malformed| (malformed, &[][..])));
        Ok(())
    }

    fn finish(self, withdrawn: Prefixes<'a>, reachable: Prefixes<'a>) -> Update<'a> {
        let body = |prefixes| if self.decoding.families.ipv4 { prefixes } else { Prefixes::NONE };
        Update {
            withdrawn: body(withdrawn),
            reachable: body(reachable),
            multiprotocol_withdrawn: self.unreach.map_or(Prefixes::NONE, |(_, prefixes)| prefixes),
            multiprotocol_reachable: self.reach.map_or(Prefixes::NONE, |(_, _, prefixes)| prefixes),
            multiprotocol_next_hop: self.reach.map(|(family, next_hop, _)| (family, next_hop)),
            end_of_rib: self.end_of_rib(&withdrawn, &reachable),
            disposition: self
                .malformed
                .map_or(Disposition::Accept, |(malformed, _)| Disposition::TreatAsWithdraw(malformed)),
            discarded: self.discarded,
            local_asn: self.decoding.local_asn,
            values: Values { as_path: self.as_path(), ..self.values },
        }
    }

    /// RFC 4724 §2: an UPDATE of nothing, or of an empty `MP_UNREACH_NLRI` alone.
    fn end_of_rib(&self, withdrawn: &Prefixes<'_>, reachable: &Prefixes<'_>) -> Option<Family> {
        if !withdrawn.is_empty() || !reachable.is_empty() {
            return None;
        }
        let mut others = self.seen.iter().filter(|seen| *seen != AttributeType::MP_UNREACH_NLRI);
        match &self.unreach {
            Some((family, prefixes)) => (prefixes.is_empty() && others.next().is_none()).then_some(*family),
            None => (self.seen.is_empty() && self.decoding.families.ipv4).then_some(Family::Ipv4Unicast),
        }
    }

    /// RFC 6793 §4.2.3: of two aggregators that are told, one in two octets that is not `AS_TRANS` did
    /// not know of the other, nor of `AS4_PATH`.
    fn as_path(&self) -> AsPath<'a> {
        let is_unaware = self.has_as4_aggregator && self.aggregator.is_some_and(|asn| asn != Asn::TRANS);
        match self.as4_path {
            Some(as4_path) if !is_unaware => self.values.as_path.reconstructed(as4_path),
            Some(_) | None => self.values.as_path,
        }
    }
}

/// Octets of the shortest `MP_REACH_NLRI` (RFC 7606 §5.3).
const REACH_MIN: usize = 5;
