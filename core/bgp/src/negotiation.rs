//! What two OPENs agree on, and why they do not.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use ferrolb_vocab::{Asn, BgpId};
use ferrolb_wire::bgp::{Capabilities, Families, GracefulRestart, Notification, Open};

use crate::config::{Config, RESTART_TIME_MAX, RemoteAsn};

/// What both sides have agreed on for a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// This side's AS number, as the peer sees it.
    pub local_asn: Asn,
    /// The peer's AS number, all four octets of it.
    pub remote_asn: Asn,
    /// The peer's BGP Identifier.
    pub remote_id: BgpId,
    /// The longest silence, the less of what both want (RFC 4271 §4.2); `None` for any.
    pub hold_time: Option<Duration>,
    /// The time between KEEPALIVEs, jitter aside; `None` for none.
    pub keepalive_time: Option<Duration>,
    /// The families that routes go of.
    pub families: Families,
    /// Whether AS numbers have four octets: RFC 6793.
    pub four_octet_as: bool,
    /// Whether the peer asks for routes again: RFC 2918.
    pub route_refresh: bool,
    /// Whether what it is told then has marks around it: RFC 7313.
    pub enhanced_route_refresh: bool,
    /// Whether IPv4 prefixes may have IPv6 next hops: RFC 8950.
    pub extended_next_hop: bool,
    /// What the peer says of its restarts, where both sides can restart gracefully.
    pub graceful_restart: Option<GracefulRestart>,
    /// Whether both keep routes after a NOTIFICATION: RFC 8538.
    pub notification: bool,
    /// What the peer calls itself.
    pub hostname: Option<Box<str>>,
}

/// Why the peer's OPEN is none that this configuration agrees with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenRefused {
    /// It is in another AS: RFC 4271 §6.2.
    #[error("the peer is in AS {found}, expected {expected}")]
    BadPeerAs {
        /// What the configuration says.
        expected: RemoteAsn,
        /// Where the peer says that it is.
        found: Asn,
    },
    /// It is in this side's AS and has this side's identifier: RFC 6286 §2.2.
    #[error("the peer has this side's BGP Identifier, {0}, in the same AS")]
    BadBgpId(BgpId),
    /// There is no family that both want: RFC 5492 §3.
    #[error("the peer offers none of the address families that are configured")]
    NoCommonFamily {
        /// What the configuration says.
        wanted: Families,
    },
}

impl Negotiated {
    /// Whether the peer sees this side as one of its own AS.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        self.local_asn == self.remote_asn
    }

    /// For how long the peer may take nothing of what is sent: the SendHoldTimer of RFC 9687, with its
    /// suggested value. It does not run with a hold time of zero.
    #[must_use]
    pub fn send_hold_time(&self) -> Option<Duration> {
        self.hold_time.map(|time| SEND_HOLD_TIME_MIN.max(time * 2))
    }
}

impl OpenRefused {
    /// What the peer is told.
    #[must_use]
    pub fn notification(&self) -> Notification {
        match self {
            Self::BadPeerAs { .. } => Notification::bad_peer_as(),
            Self::BadBgpId(_) => Notification::bad_bgp_identifier(),
            Self::NoCommonFamily { wanted } => Notification::unsupported_capability(*wanted),
        }
    }

    /// The reason's name, for logs, metrics and conditions.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::BadPeerAs { .. } => "bad_peer_as",
            Self::BadBgpId(_) => "bad_bgp_id",
            Self::NoCommonFamily { .. } => "no_common_family",
        }
    }
}

/// How this side's OPEN differs from what the configuration alone says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Circumstances {
    /// The speaker has restarted, and the peer may still have its routes: RFC 4724 §4.1.
    pub(crate) is_restarting: bool,
    /// The last session was one after which both sides keep routes, whatever ended it: RFC 8538 §4.
    pub(crate) is_preserved: bool,
    /// The peer cannot read capabilities: RFC 5492 §3.
    pub(crate) is_plain: bool,
}

/// This side's OPEN.
pub(crate) fn offer(config: &Config, circumstances: Circumstances) -> Open {
    let asn = config.session_asn();
    let capabilities = if circumstances.is_plain {
        Capabilities::default()
    } else {
        Capabilities {
            families: Some(config.families),
            four_octet_asn: Some(asn),
            route_refresh: true,
            enhanced_route_refresh: true,
            graceful_restart: graceful_restart(config, circumstances),
            extended_next_hop: config.extended_next_hop,
            extended_message: false,
            fqdn: config.hostname.clone(),
            unknown: Vec::new(),
        }
    };
    Open { asn, hold_time: config.hold_time.seconds(), bgp_id: config.bgp_id, capabilities }
}

/// The peer's OPEN against this side's, `offer`: RFC 4271 §6.2 where it needs the configuration.
///
/// # Errors
/// Why there can be no session.
pub(crate) fn negotiate(config: &Config, offer: &Open, received: &Open) -> Result<Negotiated, OpenRefused> {
    let (local_asn, remote_asn) = (offer.asn, received.asn);
    if !config.remote_asn.accepts(remote_asn, local_asn) {
        return Err(OpenRefused::BadPeerAs { expected: config.remote_asn, found: remote_asn });
    }
    // Another AS may have the same identifier: RFC 6286 §2.1.
    if remote_asn == local_asn && received.bgp_id == offer.bgp_id {
        return Err(OpenRefused::BadBgpId(received.bgp_id));
    }
    let negotiated = agreement(config, offer, received);
    let families = negotiated.families.intersection(config.families);
    if families.is_empty() {
        return Err(OpenRefused::NoCommonFamily { wanted: config.families });
    }
    Ok(Negotiated { families, ..negotiated })
}

/// What follows from two OPENs that both sides have taken. The configuration adds the time between
/// KEEPALIVEs, which is this side's alone.
pub(crate) fn agreement(config: &Config, offer: &Open, received: &Open) -> Negotiated {
    let (ours, theirs) = (&offer.capabilities, &received.capabilities);
    let hold_time = offer.hold_time.min(received.hold_time);
    let both_restart = ours.graceful_restart.as_ref().zip(theirs.graceful_restart.as_ref());
    Negotiated {
        local_asn: offer.asn,
        remote_asn: received.asn,
        remote_id: received.bgp_id,
        hold_time: (hold_time != 0).then(|| Duration::from_secs(hold_time.into())),
        keepalive_time: keepalive_time(config, hold_time),
        families: ours.families_or_default().intersection(theirs.families_or_default()),
        four_octet_as: ours.four_octet_asn.is_some() && theirs.four_octet_asn.is_some(),
        route_refresh: ours.route_refresh && theirs.route_refresh,
        enhanced_route_refresh: ours.enhanced_route_refresh && theirs.enhanced_route_refresh,
        extended_next_hop: ours.extended_next_hop && theirs.extended_next_hop,
        graceful_restart: both_restart.map(|(_, theirs)| theirs.clone()),
        notification: both_keep_routes(offer, received),
        hostname: theirs.fqdn.clone(),
    }
}

/// Whether both sides keep routes after a NOTIFICATION: RFC 8538 §2.
pub(crate) fn both_keep_routes(offer: &Open, received: &Open) -> bool {
    [offer, received].iter().all(|open| {
        let restart = open.capabilities.graceful_restart.as_ref();
        restart.is_some_and(|restart| restart.notification)
    })
}

/// The time between KEEPALIVEs: what the operator wants, a third of the agreed hold time at most
/// and a second at least, RFC 4271 §4.4.
pub(crate) fn keepalive_time(config: &Config, hold_time: u16) -> Option<Duration> {
    if hold_time == 0 {
        return None;
    }
    let third = hold_time / 3;
    let wanted = config.keepalive_time.map_or(third, |wanted| wanted.get().min(third));
    Some(Duration::from_secs(wanted.max(1).into()))
}

fn graceful_restart(config: &Config, circumstances: Circumstances) -> Option<GracefulRestart> {
    let restart = config.graceful_restart?;
    let Circumstances { is_restarting, is_preserved, .. } = circumstances;
    // The peer forgets the routes of a family without the bit: RFC 4724 §4.2.
    let is_forwarding = |family| if is_restarting { restart.is_forwarding(family) } else { is_preserved };
    Some(GracefulRestart {
        restarted: is_restarting,
        notification: restart.notification,
        restart_time: restart.restart_time.min(RESTART_TIME_MAX),
        families: config.families.iter().map(|family| (family, is_forwarding(family))).collect(),
    })
}

/// RFC 9687 §6: eight minutes, or twice the hold time if that is longer.
const SEND_HOLD_TIME_MIN: Duration = Duration::from_secs(480);
