//! Capabilities, what a speaker can: RFC 5492 §4 and the RFCs of each.

use alloc::boxed::Box;
use alloc::vec::Vec;

use ferrolb_vocab::Asn;

use super::Error;
use super::family::{AFI_IPV4, AFI_IPV6, Families, Family, SAFI_UNICAST};
use super::text::harmless;
use crate::cursor::{Reader, Truncated, Writer};

/// What a speaker can.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// The families that it names (RFC 4760 §8). `None`: it names none at all, and means IPv4
    /// unicast.
    pub families: Option<Families>,
    /// Its autonomous system number, and that it writes all of them in four octets (RFC 6793).
    pub four_octet_asn: Option<Asn>,
    /// It tells all routes again when asked (RFC 2918).
    pub route_refresh: bool,
    /// It marks where that begins and ends (RFC 7313).
    pub enhanced_route_refresh: bool,
    /// It forwards while it restarts, or waits for a peer that does (RFC 4724).
    pub graceful_restart: Option<GracefulRestart>,
    /// It takes IPv6 next hops for IPv4 unicast routes (RFC 8950).
    pub extended_next_hop: bool,
    /// It takes messages of more than 4096 octets (RFC 8654). Never sent.
    pub extended_message: bool,
    /// Its name, for the operator of the other side (`draft-walton-bgp-hostname-capability`); at
    /// most 64 octets are sent.
    pub fqdn: Option<Box<str>>,
    /// Codes of capabilities that this speaker does not know, at most 64, each once.
    /// Never sent.
    pub unknown: Vec<u8>,
}

/// What a speaker says of restarts (RFC 4724 §3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GracefulRestart {
    /// It has restarted (R).
    pub restarted: bool,
    /// It restarts gracefully after a NOTIFICATION, too (N of RFC 8538).
    pub notification: bool,
    /// How long its peers are to wait for it, in seconds: at most 4095.
    pub restart_time: u16,
    /// Of which families it is, each once, and whether it kept what it forwards them by (F).
    pub families: Vec<(Family, bool)>,
}

/// How many unknown codes are kept.
const UNKNOWN_MAX: usize = 64;

/// Octets of a name that are sent. FRR reads no more; and so capabilities never need the extended
/// form of parameters.
const NAME_MAX: usize = 64;

impl Capabilities {
    /// The families: those named, or else IPv4 unicast.
    #[must_use]
    pub fn families_or_default(&self) -> Families {
        self.families.unwrap_or(Families::IPV4)
    }

    /// Adds one capability as it came. One that is no use as written is as if it was not there,
    /// except for the two without which the whole session would be misread.
    pub(super) fn take(&mut self, code: u8, value: &[u8]) -> Result<(), Error> {
        match code {
            MULTIPROTOCOL => {
                let family = multiprotocol_family(value).ok_or(Error::MalformedOpen)?;
                let families = self.families.get_or_insert_default();
                if let Some(family) = family {
                    families.insert(family);
                }
            }
            FOUR_OCTET_AS => {
                let octets = value.first_chunk().filter(|_| value.len() == 4);
                let asn = Asn(u32::from_be_bytes(*octets.ok_or(Error::MalformedOpen)?));
                self.four_octet_asn.get_or_insert(asn);
            }
            ROUTE_REFRESH => self.route_refresh = true,
            ENHANCED_ROUTE_REFRESH => self.enhanced_route_refresh = true,
            EXTENDED_MESSAGE => self.extended_message = true,
            EXTENDED_NEXT_HOP => self.extended_next_hop |= has_ipv4_over_ipv6(value),
            // RFC 4724 §3: of several the last counts.
            GRACEFUL_RESTART => {
                if let Ok(graceful_restart) = GracefulRestart::parse(value) {
                    self.graceful_restart = Some(graceful_restart);
                }
            }
            FQDN => self.fqdn = parse_name(value).ok().flatten().or(self.fqdn.take()),
            unknown => {
                if self.unknown.len() < UNKNOWN_MAX && !self.unknown.contains(&unknown) {
                    self.unknown.push(unknown);
                }
            }
        }
        Ok(())
    }

    /// All of them but those that are never sent, in one run: at most 253 octets.
    pub(super) fn emit(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(USUAL_LENGTH);
        for family in self.families.into_iter().flat_map(Families::iter) {
            writer.octets(&multiprotocol(family));
        }
        if self.route_refresh {
            writer.u8(ROUTE_REFRESH).u8(0);
        }
        if self.extended_next_hop {
            writer.u8(EXTENDED_NEXT_HOP).u8(6);
            writer.u16(AFI_IPV4).u16(u16::from(SAFI_UNICAST)).u16(AFI_IPV6);
        }
        if let Some(graceful_restart) = &self.graceful_restart {
            graceful_restart.emit(&mut writer);
        }
        if let Some(Asn(asn)) = self.four_octet_asn {
            writer.u8(FOUR_OCTET_AS).u8(4).u32(asn);
        }
        if self.enhanced_route_refresh {
            writer.u8(ENHANCED_ROUTE_REFRESH).u8(0);
        }
        if let Some(name) = &self.fqdn {
            let name = name.get(..name.floor_char_boundary(NAME_MAX)).unwrap_or_default();
            #[expect(clippy::cast_possible_truncation, reason = "a name has at most 64 octets")]
            let length = name.len() as u8;
            writer.u8(FQDN).u8(length.saturating_add(2)).u8(length).octets(name.as_bytes()).u8(0);
        }
        writer.finish()
    }
}

impl GracefulRestart {
    fn parse(value: &[u8]) -> Result<Self, Truncated> {
        let mut reader = Reader::new(value);
        let first = reader.u16()?;
        let mut families: Vec<(Family, bool)> = Vec::new();
        while !reader.is_empty() {
            let family = Family::read(&mut reader)?;
            let is_preserved = reader.u8()? & FORWARDING_STATE != 0;
            match family {
                Some(family) if families.iter().all(|(listed, _)| *listed != family) => {
                    families.push((family, is_preserved));
                }
                Some(_) | None => {}
            }
        }
        Ok(Self {
            restarted: first & RESTARTED != 0,
            notification: first & NOTIFICATION != 0,
            restart_time: first & RESTART_TIME,
            families,
        })
    }

    fn emit(&self, writer: &mut Writer) {
        let flag = |is_set: bool, bit: u16| if is_set { bit } else { 0 };
        let families = || Family::ALL.into_iter().filter_map(|family| self.preserved(family));
        let length = families().fold(2_u8, |length, _family| length.saturating_add(4));
        writer.u8(GRACEFUL_RESTART).u8(length).u16(
            flag(self.restarted, RESTARTED)
                | flag(self.notification, NOTIFICATION)
                | self.restart_time.min(RESTART_TIME),
        );
        for (family, is_preserved) in families() {
            family.write(writer);
            writer.u8(if is_preserved { FORWARDING_STATE } else { 0 });
        }
    }

    /// The entry of `family`.
    fn preserved(&self, family: Family) -> Option<(Family, bool)> {
        self.families.iter().copied().find(|(listed, _)| *listed == family)
    }
}

/// The capability that names `family`, code and length included (RFC 4760 §8).
pub(super) const fn multiprotocol(family: Family) -> [u8; 6] {
    let [high, low] = family.afi().to_be_bytes();
    [MULTIPROTOCOL, 4, high, low, 0, family.safi()]
}

/// `None` if that is no family's name, `Some(None)` if it is one that FerroLB has no routes of.
fn multiprotocol_family(value: &[u8]) -> Option<Option<Family>> {
    match value {
        [high, low, _reserved, safi] => Some(Family::of_numbers(u16::from_be_bytes([*high, *low]), *safi)),
        _other => None,
    }
}

/// Whether IPv4 unicast routes with IPv6 next hops are among what is listed (RFC 8950 §4).
fn has_ipv4_over_ipv6(value: &[u8]) -> bool {
    let (entries, rest) = value.as_chunks::<6>();
    rest.is_empty() && entries.contains(&[0, 1, 0, 1, 0, 2])
}

/// A host's name and, after a dot, its domain's.
fn parse_name(value: &[u8]) -> Result<Option<Box<str>>, Truncated> {
    let mut reader = Reader::new(value);
    let length = usize::from(reader.u8()?);
    let mut name = harmless(reader.octets(length)?);
    // Some leave the domain out altogether.
    let length = usize::from(reader.u8().unwrap_or(0));
    let domain = reader.octets(length)?;
    if !domain.is_empty() {
        name.push('.');
        name.push_str(&harmless(domain));
    }
    Ok(if name.is_empty() { None } else { Some(name.into_boxed_str()) })
}

/// Octets that capabilities rarely exceed.
const USUAL_LENGTH: usize = 64;

const MULTIPROTOCOL: u8 = 1;
const ROUTE_REFRESH: u8 = 2;
const EXTENDED_NEXT_HOP: u8 = 5;
const EXTENDED_MESSAGE: u8 = 6;
const GRACEFUL_RESTART: u8 = 64;
const FOUR_OCTET_AS: u8 = 65;
const ENHANCED_ROUTE_REFRESH: u8 = 70;
const FQDN: u8 = 73;

const RESTARTED: u16 = 1 << 15;
const NOTIFICATION: u16 = 1 << 14;
const RESTART_TIME: u16 = 0x0fff;
const FORWARDING_STATE: u8 = 1 << 7;

#[cfg(test)]
mod tests;
