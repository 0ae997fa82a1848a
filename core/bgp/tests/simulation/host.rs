//! One end: a process that speaks BGP, and what its operator wants.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use ferrolb_bgp::{
    BfdPolicy, Config, ConnectionId, Event, GracefulRestartConfig, HoldTime, Peer, Reason, RemoteAsn, Role,
    Route, Transport,
};
use ferrolb_vocab::{Asn, BgpId, Community, Instant, IpPrefix};
use ferrolb_wire::bgp::{Decoding, Families, Family, Frame, MessageType, Update};

use crate::helper::Helper;

/// `SplitMix64`: small, and the same on every platform.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn chance(&mut self, per_mille: u64) -> bool {
        self.next() % 1_000 < per_mille
    }

    pub(crate) fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.next() % (range.end - range.start)
    }

    /// One of a few prefixes of both families.
    pub(crate) fn prefix(&mut self) -> IpPrefix {
        let last = self.within(0..12);
        if self.chance(500) { format!("192.0.2.{last}/32") } else { format!("2001:db8::{last}/128") }
            .parse()
            .unwrap()
    }

    pub(crate) fn route(&mut self) -> Arc<Route> {
        let communities =
            (0..self.within(0..3)).map(|community| Community(u32::try_from(community).unwrap()));
        Arc::new(Route { communities: communities.collect(), ..Route::default() })
    }
}

/// One of the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    A,
    B,
}

pub(crate) const BOTH: [End; 2] = [End::A, End::B];

impl End {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    pub(crate) fn address(self) -> SocketAddr {
        match self {
            Self::A => "192.0.2.101:179".parse().unwrap(),
            Self::B => "192.0.2.102:179".parse().unwrap(),
        }
    }

    fn asn(self) -> Asn {
        match self {
            Self::A => Asn(64_512),
            Self::B => Asn(4_200_000_000),
        }
    }
}

/// Active, 9 s of hold time, graceful restart, and at most 20 s between attempts.
pub(crate) fn config(end: End) -> Config {
    let id = if end == End::A { 7 } else { 9 };
    Config {
        local_asn: end.asn(),
        local_as: None,
        remote_asn: RemoteAsn::Exactly(end.other().asn()),
        bgp_id: BgpId::new(NonZeroU32::new(id).unwrap()),
        transport: Transport { remote: end.other().address(), source: None, interface: None },
        role: Role::Active,
        families: Families::ALL,
        extended_next_hop: false,
        next_hop_ipv4: None,
        next_hop_ipv6: Some("2001:db8:1::1".parse().unwrap()),
        hold_time: HoldTime::new(9).unwrap(),
        keepalive_time: None,
        connect_retry_time: Duration::from_secs(20),
        graceful_restart: Some(GracefulRestartConfig {
            restart_time: 60,
            forwarding: Families::ALL,
            notification: true,
        }),
        hostname: None,
        bfd: BfdPolicy::Ignore,
    }
}

/// An end and its process, if it runs.
pub(crate) struct Host {
    pub(crate) end: End,
    pub(crate) config: Config,
    pub(crate) peer: Option<Peer>,
    pub(crate) is_stopped: bool,
    /// Whether the other end may connect.
    pub(crate) is_listening: bool,
    /// What this end does with the routes of the other, if that is of interest.
    pub(crate) helper: Option<Helper>,
    pub(crate) wanted: BTreeMap<IpPrefix, Arc<Route>>,
    pub(crate) session: Option<ConnectionId>,
    /// When this process has asked for connections.
    pub(crate) connects: Vec<Instant>,
    /// Why sessions and attempts have ended.
    pub(crate) ended: Vec<Reason>,
    pub(crate) sessions: usize,
}

impl Host {
    pub(crate) fn new(end: End) -> Self {
        Self {
            end,
            config: config(end),
            peer: None,
            is_stopped: false,
            is_listening: true,
            helper: None,
            wanted: BTreeMap::new(),
            session: None,
            connects: Vec::new(),
            ended: Vec::new(),
            sessions: 0,
        }
    }

    /// A process that knows what is wanted.
    pub(crate) fn begin(&mut self, seed: u64) {
        let mut peer = Peer::new(self.config.clone(), seed);
        peer.rib_out_mut().set_wanted(&self.wanted);
        peer.rib_out_mut().complete();
        self.peer = Some(peer);
        self.is_stopped = false;
        self.connects.clear();
    }

    pub(crate) fn note(&mut self, event: Event) {
        match event {
            Event::Established { at, connection, negotiated } => {
                assert_eq!(self.session, None, "one session at most");
                self.session = Some(connection);
                self.sessions += 1;
                if let Some(helper) = &mut self.helper {
                    helper.begin(*negotiated, at);
                }
            }
            Event::Down { at, reason, .. } => {
                assert!(self.session.take().is_some(), "what was not there cannot be lost");
                if let Some(helper) = &mut self.helper {
                    helper.end(&reason, at);
                }
                self.ended.push(reason);
            }
            Event::Failed { reason, .. } => self.ended.push(reason),
            Event::Refused { .. } | Event::EndOfRib { .. } => {}
        }
    }
}

/// What the other side is to know of what is wanted, once all is still.
pub(crate) fn expected(wanted: &BTreeMap<IpPrefix, Arc<Route>>) -> BTreeMap<IpPrefix, Vec<Community>> {
    let communities = |route: &Arc<Route>| route.communities.iter().copied().collect();
    wanted.iter().map(|(prefix, route)| (*prefix, communities(route))).collect()
}

/// What has come in on a connection, as another implementation would understand it.
#[derive(Default)]
pub(crate) struct View {
    stream: Vec<u8>,
    pub(crate) routes: BTreeMap<IpPrefix, Vec<Community>>,
    pub(crate) end_of_rib: Families,
}

impl View {
    pub(crate) fn take(&mut self, end: End, octets: &[u8]) {
        self.stream.extend_from_slice(octets);
        while let Some((frame, length)) = Frame::next(&self.stream).unwrap() {
            if frame.message_type == MessageType::Update {
                let decoding = Decoding {
                    four_octet_as: true,
                    is_internal: false,
                    local_asn: end.asn(),
                    families: Families::ALL,
                };
                let update = Update::parse(frame.body, &decoding).unwrap();
                for prefix in update.withdrawn() {
                    assert!(self.routes.remove(&prefix).is_some(), "only what was told is withdrawn");
                }
                let communities: Vec<_> = update.communities().collect();
                self.routes.extend(update.reachable().map(|prefix| (prefix, communities.clone())));
                if let Some(family) = update.end_of_rib() {
                    self.end_of_rib.insert(family);
                }
            }
            self.stream.drain(..length);
        }
    }

    pub(crate) fn is_complete(&self) -> bool {
        Family::ALL.iter().all(|family| self.end_of_rib.contains(*family))
    }
}

/// Whether there is an UPDATE, or a mark between UPDATEs, among whole messages.
pub(crate) fn has_update(octets: &[u8]) -> bool {
    let mut rest = octets;
    while let Some((frame, length)) = Frame::next(rest).unwrap() {
        if matches!(frame.message_type, MessageType::Update | MessageType::RouteRefresh) {
            return true;
        }
        rest = &rest[length..];
    }
    false
}
