//! A peer at one moment, as stations are told of it.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::num::NonZeroU64;
use core::time::Duration;

use ferrolb_vocab::{Instant, InterfaceName, IpPrefix, ObjectName};
use ferrolb_wire::bgp::{Attributes, Families, Family, Notification};
use ferrolb_wire::bmp::{PeerDown, PerPeerHeader, Statistic};

use crate::config::Config;
use crate::connection::{Connection, ConnectionId};
use crate::peer::{Event, Peer, Reason, Status};
use crate::rib_out::RibOut;
use crate::route::Route;

/// All peers as stations are told of them.
pub type MonitoredPeers = Arc<BTreeMap<ObjectName, Arc<Monitored>>>;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Monitored {
    pub(super) session: Option<Arc<Session>>,
    /// How the last session ended, as far as that was seen.
    pub(super) ended: Option<Ended>,
    /// Of the session; `None` until all of it was sent to the peer once.
    pub(super) adj_rib_out: Option<Arc<AdjRibOut>>,
    pub(super) statistics: [Statistic; 5],
}

/// What does not change while there is a session.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Session {
    connection: ConnectionId,
    pub(super) since: Instant,
    /// Without a time.
    pub(super) header: PerPeerHeader,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    pub(super) sent_open: Vec<u8>,
    pub(super) received_open: Box<[u8]>,
    pub(super) four_octet_as: bool,
    pub(super) families: Families,
}

/// The end of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) at: Instant,
    pub(super) down: PeerDown,
}

/// What the peer was sent. Prefixes mostly share their attributes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AdjRibOut {
    pub(super) routes: BTreeMap<IpPrefix, Arc<Attributes>>,
    /// How many UPDATEs had been sent by then.
    updates: u64,
}

impl Monitored {
    /// The peer as it is, and as it was `before`, by its `status` and the `events` since.
    #[must_use]
    pub fn observe(before: Option<&Self>, peer: &Peer, status: &Status, events: &[Event]) -> Self {
        let known = before.and_then(|before| before.session.as_ref());
        let session = Session::of(known, peer);
        let is_known = known.zip(session.as_ref()).is_some_and(|(known, now)| Arc::ptr_eq(known, now));
        let seen = before.filter(|_| is_known).and_then(|before| before.adj_rib_out.as_ref());
        let is_seen = seen.is_some_and(|seen| seen.updates == status.sent.update);
        // Before it is settled not all that is wanted was sent, and something else than is wanted may be.
        let adj_rib_out = match &session {
            None => None,
            Some(_) if is_seen || peer.rib_out().has_pending() => seen.cloned(),
            Some(_) => Some(Arc::new(AdjRibOut::of(peer.rib_out(), status.sent.update))),
        };
        let ended = events.iter().rev().find_map(|event| Ended::of(event, status));
        Self {
            session,
            ended: ended.or_else(|| before.and_then(|before| before.ended.clone())),
            adj_rib_out,
            statistics: statistics(status),
        }
    }
}

impl Session {
    /// The session of the peer, which may be `known`.
    fn of(known: Option<&Arc<Self>>, peer: &Peer) -> Option<Arc<Self>> {
        let (_, connection) = peer.established()?;
        let since = connection.established()?;
        match known.filter(|known| (known.connection, known.since) == (connection.id, since)) {
            Some(known) => Some(Arc::clone(known)),
            None => Self::begin(peer.config(), connection, since).map(Arc::new),
        }
    }

    fn begin(config: &Config, connection: &Connection, since: Instant) -> Option<Self> {
        let agreed = connection.agreed()?;
        let header = PerPeerHeader {
            distinguisher: config.transport.interface.as_ref().map(distinguisher),
            address: connection.remote.ip(),
            asn: agreed.negotiated.remote_asn,
            bgp_id: agreed.negotiated.remote_id,
            timestamp: Duration::ZERO,
        };
        Some(Self {
            connection: connection.id,
            since,
            header,
            local: connection.local,
            remote: connection.remote,
            sent_open: connection.offer.emit(),
            received_open: agreed.body.clone(),
            four_octet_as: agreed.negotiated.four_octet_as,
            families: agreed.negotiated.families,
        })
    }
}

impl Ended {
    fn of(event: &Event, status: &Status) -> Option<Self> {
        let Event::Down { at, reason, .. } = event else { return None };
        let sent = status.last_sent.as_ref().filter(|sent| sent.at == *at);
        Some(Self { at: *at, down: peer_down(reason, sent.map(|sent| &sent.notification)) })
    }
}

impl AdjRibOut {
    fn of(rib_out: &RibOut, updates: u64) -> Self {
        let mut routes = BTreeMap::new();
        for family in Family::ALL {
            let mut known: BTreeMap<&Route, Option<Arc<Attributes>>> = BTreeMap::new();
            for (prefix, route) in rib_out.advertised(family) {
                let attributes =
                    known.entry(route).or_insert_with(|| rib_out.attributes(family, route).map(Arc::new));
                routes.extend(attributes.clone().map(|attributes| (prefix, attributes)));
            }
        }
        Self { routes, updates }
    }
}

/// How a session ended, RFC 7854 §4.9, by the reason and the NOTIFICATION that was `sent` at its end.
fn peer_down(reason: &Reason, sent: Option<&Notification>) -> PeerDown {
    let fsm_event = match reason {
        Reason::NotificationReceived(received) => return PeerDown::RemoteNotification(received.clone()),
        Reason::ConnectionClosed => return PeerDown::RemoteSilence,
        // The other connection was told something, perhaps.
        Reason::Replaced => return PeerDown::LocalSilence { fsm_event: TCP_CONNECTION_CONFIRMED },
        Reason::SendHoldTimerExpired => return PeerDown::LocalSilence { fsm_event: SEND_HOLD_TIMER_EXPIRES },
        Reason::ConnectionTimedOut => TCP_CONNECTION_FAILS,
        Reason::MessageRefused(_) => NOTIF_MSG,
        Reason::Stopped(_) | Reason::ConfigChanged(_) => MANUAL_STOP,
        Reason::ConnectFailed
        | Reason::ConnectTimedOut
        | Reason::HoldTimerExpired
        | Reason::OpenRefused(_)
        | Reason::UnexpectedMessage { .. }
        | Reason::Collision
        | Reason::BfdDown => NO_EVENT,
    };
    match sent {
        Some(sent) => PeerDown::LocalNotification(sent.clone()),
        None => PeerDown::LocalSilence { fsm_event },
    }
}

fn statistics(status: &Status) -> [Statistic; 5] {
    let routes = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let [ipv4, ipv6] = [status.ipv4, status.ipv6].map(|family| routes(family.advertised));
    [
        Statistic::AsPathLoops(wrapped(status.routes.looped)),
        Statistic::TreatedAsWithdraw(wrapped(status.routes.treated_as_withdraw)),
        Statistic::AdjRibOut(ipv4.saturating_add(ipv6)),
        Statistic::AdjRibOutOf(Family::Ipv4Unicast, ipv4),
        Statistic::AdjRibOutOf(Family::Ipv6Unicast, ipv6),
    ]
}

/// A counter of 32 bits.
#[expect(clippy::cast_possible_truncation, reason = "counters of BMP wrap around")]
const fn wrapped(count: u64) -> u32 {
    count as u32
}

/// What tells the peers behind an interface or in a VRF from others with their addresses: FNV-1a of its
/// name, which is the same on every node and after every start.
fn distinguisher(interface: &InterfaceName) -> NonZeroU64 {
    let mixed = |hash: u64, octet: u8| (hash ^ u64::from(octet)).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = interface.as_str().bytes().fold(0xcbf2_9ce4_8422_2325, mixed);
    NonZeroU64::new(hash).unwrap_or(NonZeroU64::MIN)
}

// Events of RFC 4271 §8.1, and the one that RFC 9687 adds.
const NO_EVENT: u16 = 0;
const MANUAL_STOP: u16 = 2;
const TCP_CONNECTION_CONFIRMED: u16 = 17;
const TCP_CONNECTION_FAILS: u16 = 18;
const NOTIF_MSG: u16 = 25;
const SEND_HOLD_TIMER_EXPIRES: u16 = 29;
