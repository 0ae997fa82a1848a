//! What an operator wants of a peer.

use alloc::boxed::Box;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::num::NonZeroU16;
use core::time::Duration;

use ferrolb_vocab::{Asn, BgpId, InterfaceName};
use ferrolb_wire::bgp::{Families, Family};

/// The time between two attempts to connect where the operator names none: RFC 4271 §10.
pub const CONNECT_RETRY_TIME: Duration = Duration::from_secs(120);

/// The longest Restart Time, in seconds: it has 12 bits, RFC 4724 §3.
pub const RESTART_TIME_MAX: u16 = 4_095;

/// A peer's configuration. Which change of it resets a session is said at
/// [`crate::Peer::set_config`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// This side's AS number.
    pub local_asn: Asn,
    /// Another AS number of this side, for this peer alone: RFC 7705, in the manner of
    /// `local-as no-prepend replace-as`. The peer sees no other.
    pub local_as: Option<Asn>,
    /// Which AS the peer may be in.
    pub remote_asn: RemoteAsn,
    /// This side's BGP Identifier.
    pub bgp_id: BgpId,
    /// Where the connection goes, and from where.
    pub transport: Transport,
    /// Who connects.
    pub role: Role,
    /// The address families to agree on.
    pub families: Families,
    /// Whether to offer IPv4 prefixes with IPv6 next hops, RFC 8950.
    pub extended_next_hop: bool,
    /// The next hop of IPv4 prefixes over a connection that is not IPv4.
    pub next_hop_ipv4: Option<core::net::Ipv4Addr>,
    /// The next hop of IPv6 prefixes over a connection that is not IPv6, or has no global address.
    pub next_hop_ipv6: Option<core::net::Ipv6Addr>,
    /// The longest silence of the peer, if the peer does not want less.
    pub hold_time: HoldTime,
    /// The time between KEEPALIVEs in seconds, a third of the agreed hold time at most; `None` for
    /// that third.
    pub keepalive_time: Option<NonZeroU16>,
    /// The longest time between two attempts to connect, which the first attempts do not take; a
    /// second at least.
    pub connect_retry_time: Duration,
    /// Whether the peer is to keep routes while this side restarts.
    pub graceful_restart: Option<GracefulRestartConfig>,
    /// What the peer's operator may see this side called (the FQDN capability).
    pub hostname: Option<Box<str>>,
    /// What BFD has to say.
    pub bfd: BfdPolicy,
}

/// Which AS a peer may be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoteAsn {
    /// This one.
    Exactly(Asn),
    /// This side's, whichever that is.
    Internal,
    /// Any but this side's.
    External,
}

/// Where a peer is. All but the addresses is the driver's, with what it needs no word of the core
/// for: Time to Live and the key of TCP-MD5, which change on a live connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transport {
    /// The peer's address and port.
    pub remote: SocketAddr,
    /// The address to connect from.
    pub source: Option<IpAddr>,
    /// The interface or VRF to connect through.
    pub interface: Option<InterfaceName>,
}

/// Who connects: RFC 4271 §8.1.1, PassiveTcpEstablishment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// This side, and the peer may.
    #[default]
    Active,
    /// Only the peer.
    Passive,
}

/// What BFD means to the session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BfdPolicy {
    /// Nothing.
    #[default]
    Ignore,
    /// When BFD goes down, the session does.
    Follow,
    /// That, and there is no session before BFD is up.
    Strict,
}

/// This side as the Restarting Speaker of RFC 4724.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GracefulRestartConfig {
    /// How long the peer keeps the routes without a session, in seconds, [`RESTART_TIME_MAX`] at
    /// most: what is above counts as that.
    pub restart_time: u16,
    /// The families whose packets were carried on while this side restarted (the F bits).
    pub forwarding: Families,
    /// Whether routes are kept after a NOTIFICATION too (the N bit), RFC 8538.
    pub notification: bool,
}

/// The longest silence of a peer: none that counts (zero), or at least 3 s, RFC 4271 §4.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HoldTime(u16);

/// The hold time is 1 or 2 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("hold time {0} s: expected 0 or at least 3")]
pub struct HoldTimeError(pub u16);

impl Config {
    /// The AS number that the peer sees: RFC 7705 §3.
    #[must_use]
    pub fn session_asn(&self) -> Asn {
        self.local_as.unwrap_or(self.local_asn)
    }
}

impl Transport {
    /// Whether a connection between `local` and where a peer was by `old` is none that this would make.
    pub(crate) fn moves(&self, old: &Self, local: IpAddr) -> bool {
        let Self { remote, source, interface } = self;
        *remote != old.remote || *interface != old.interface || source.is_some_and(|source| source != local)
    }
}

impl RemoteAsn {
    /// Whether a peer of AS `remote` is one for a session on which this side is AS `local`.
    #[must_use]
    pub fn accepts(self, remote: Asn, local: Asn) -> bool {
        match self {
            Self::Exactly(asn) => remote == asn,
            Self::Internal => remote == local,
            Self::External => remote != local,
        }
    }
}

impl fmt::Display for RemoteAsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(asn) => write!(f, "{asn}"),
            Self::Internal => f.write_str("this side's"),
            Self::External => f.write_str("any but this side's"),
        }
    }
}

impl HoldTime {
    /// Silence is no failure, and no KEEPALIVEs go.
    pub const ZERO: Self = Self(0);

    /// What RFC 4271 §10 suggests: 90 s.
    pub const SUGGESTED: Self = Self(90);

    /// A hold time of so many seconds.
    ///
    /// # Errors
    /// It is 1 or 2.
    pub const fn new(seconds: u16) -> Result<Self, HoldTimeError> {
        match seconds {
            1 | 2 => Err(HoldTimeError(seconds)),
            _any => Ok(Self(seconds)),
        }
    }

    /// In seconds.
    #[must_use]
    pub const fn seconds(self) -> u16 {
        self.0
    }

    /// How long silence may last; `None` for ever.
    #[must_use]
    pub fn duration(self) -> Option<Duration> {
        (self.0 != 0).then(|| Duration::from_secs(self.0.into()))
    }
}

impl GracefulRestartConfig {
    /// Whether the F bit of `family` is set while this side restarts.
    #[must_use]
    pub fn is_forwarding(self, family: Family) -> bool {
        self.forwarding.contains(family)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn a_hold_time_is_zero_or_at_least_three_seconds() {
        for seconds in [1, 2] {
            assert_eq!(HoldTime::new(seconds), Err(HoldTimeError(seconds)));
        }
        for seconds in [0, 3, 4, 90, u16::MAX] {
            assert_eq!(HoldTime::new(seconds).map(HoldTime::seconds), Ok(seconds));
        }
        assert_eq!((HoldTime::ZERO.duration(), HoldTime::SUGGESTED.seconds()), (None, 90));
        assert_eq!(HoldTime::new(3).unwrap().duration(), Some(Duration::from_secs(3)));
        assert_eq!(HoldTimeError(2).to_string(), "hold time 2 s: expected 0 or at least 3");
    }

    #[test]
    fn a_peer_is_accepted_by_its_as_or_by_which_side_of_the_border_it_is_on() {
        let (own, other, third) = (Asn(64_512), Asn(4_200_000_000), Asn(64_513));
        for (wanted, accepted) in [
            (RemoteAsn::Exactly(other), [false, true, false]),
            (RemoteAsn::Exactly(own), [true, false, false]),
            (RemoteAsn::Internal, [true, false, false]),
            (RemoteAsn::External, [false, true, true]),
        ] {
            assert_eq!([own, other, third].map(|asn| wanted.accepts(asn, own)), accepted, "{wanted}");
        }
    }
}
