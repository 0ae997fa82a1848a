//! Extended communities: RFC 4360, RFC 10005.

use core::fmt;

use ferrolb_vocab::Asn;

/// A community of eight octets, whose first one or two say what it is (RFC 4360 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExtendedCommunity(pub [u8; 8]);

impl ExtendedCommunity {
    /// The bandwidth of the path, for load balancing in its proportion (RFC 10005): in octets per
    /// second, not negative, of a link of `asn`. One that is transitive goes beyond the neighbouring
    /// system.
    ///
    /// The field has room for two octets of an AS number: longer ones are [`Asn::TRANS`].
    #[must_use]
    pub fn link_bandwidth(asn: Asn, bytes_per_second: f32, transitive: bool) -> Self {
        let kind = if transitive { TWO_OCTET_AS } else { TWO_OCTET_AS | NON_TRANSITIVE };
        let [high, low] = asn.two_octets_or_trans().to_be_bytes();
        let [a, b, c, d] = bytes_per_second.to_be_bytes();
        Self([kind, LINK_BANDWIDTH, high, low, a, b, c, d])
    }

    /// The autonomous system and the octets per second, if this is a bandwidth.
    #[must_use]
    pub fn as_link_bandwidth(self) -> Option<(Asn, f32)> {
        let [kind, subtype, high, low, a, b, c, d] = self.0;
        (kind & !NON_TRANSITIVE == TWO_OCTET_AS && subtype == LINK_BANDWIDTH)
            .then(|| (Asn::from(u16::from_be_bytes([high, low])), f32::from_be_bytes([a, b, c, d])))
    }

    /// Whether it goes beyond the neighbouring system.
    #[must_use]
    pub const fn is_transitive(self) -> bool {
        let [kind, ..] = self.0;
        kind & NON_TRANSITIVE == 0
    }
}

/// A bandwidth as `link-bandwidth:AS:octets per second`, anything else as sixteen hexadecimal
/// digits.
impl fmt::Display for ExtendedCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_link_bandwidth() {
            Some((asn, bytes_per_second)) => write!(f, "link-bandwidth:{asn}:{bytes_per_second}"),
            None => write!(f, "{:016x}", u64::from_be_bytes(self.0)),
        }
    }
}

/// The type of communities with a two-octet AS number (RFC 4360 §3.1).
const TWO_OCTET_AS: u8 = 0x00;
/// The bit of a type that keeps it within the neighbouring system (T of RFC 4360 §2).
const NON_TRANSITIVE: u8 = 0x40;
/// The subtype of a bandwidth (RFC 10005).
const LINK_BANDWIDTH: u8 = 0x04;

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn a_bandwidth_is_a_float_behind_two_octets_of_the_as_number() {
        // 125,000 octets per second: 0x47f42400.
        let community = ExtendedCommunity::link_bandwidth(Asn(64_512), 125_000.0, true);
        assert_eq!(community, ExtendedCommunity([0x00, 0x04, 0xfc, 0x00, 0x47, 0xf4, 0x24, 0x00]));
        assert!(community.is_transitive());
        assert_eq!(community.as_link_bandwidth(), Some((Asn(64_512), 125_000.0)));
        assert_eq!(community.to_string(), "link-bandwidth:64512:125000");
    }

    #[test]
    fn a_bandwidth_for_the_neighbour_alone_has_the_other_type() {
        let community = ExtendedCommunity::link_bandwidth(Asn(1), 0.0, false);
        assert_eq!(community, ExtendedCommunity([0x40, 0x04, 0, 1, 0, 0, 0, 0]));
        assert!(!community.is_transitive());
    }

    #[test]
    fn an_as_number_of_four_octets_is_as_trans_in_a_bandwidth() {
        let community = ExtendedCommunity::link_bandwidth(Asn(4_200_000_000), 1.0, true);
        assert_eq!(community.as_link_bandwidth(), Some((Asn::TRANS, 1.0)));
    }

    #[test]
    fn what_is_no_bandwidth_is_shown_in_hexadecimal() {
        let target = ExtendedCommunity([0x00, 0x02, 0xfc, 0x00, 0, 0, 0, 7]);
        assert_eq!(target.as_link_bandwidth(), None);
        assert_eq!(target.to_string(), "0002fc0000000007");
        assert_eq!(ExtendedCommunity([0x80, 0x04, 0, 0, 0, 0, 0, 0]).as_link_bandwidth(), None);
    }
}
