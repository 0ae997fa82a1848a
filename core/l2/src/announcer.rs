//! The state machine that answers and announces.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;

use ferrolb_vocab::{Instant, InterfaceName, IpFamily, Link, LinkFlag, MacAddr};
use ferrolb_wire::ipv6::solicited_node;

use crate::frames;
use crate::rate::RateLimit;
use crate::schedule::{REFRESH_INTERVAL, REFRESH_INTERVAL_MIN, Schedule};
use crate::verdict::{Event, Protocol, Timer, Transmit, TransmitKind};

mod packets;

/// Answers for the addresses this node owns, and announces them.
#[derive(Debug)]
pub struct Announcer {
    refresh_interval: Duration,
    links: BTreeMap<InterfaceName, LinkState>,
    claims: BTreeMap<IpAddr, BTreeMap<InterfaceName, Claim>>,
    /// The schedule of every claim that has one, the next first.
    timers: BTreeSet<(Instant, IpAddr, InterfaceName)>,
    /// Announcing pauses until then because a batch has just gone out.
    paced_until: Instant,
    replies: BTreeMap<InterfaceName, RateLimit>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
}

/// An interface that can send and receive now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkState {
    /// The kernel's index: another one under the same name is another interface.
    pub index: u32,
    /// The link-layer address.
    pub mac: MacAddr,
    /// Whether it has an IPv6 link-local address; without one it does not speak IPv6 (RFC 4291 §2.1).
    pub has_link_local: bool,
}

/// What must be listened to on an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// The interface's index: under another one, what is open must be opened anew.
    pub index: u32,
    /// Whether ARP frames are wanted.
    pub arp: bool,
    /// The solicited-node groups to be a member of, RFC 4861 §7.2.1; Neighbor Discovery
    /// frames are wanted unless there are none.
    pub groups: BTreeSet<Ipv6Addr>,
}

/// An address on an interface.
#[derive(Clone, Copy, Debug, Default)]
struct Claim {
    /// `None` while the interface cannot carry the address's family.
    schedule: Option<Schedule>,
    conflict_reported: Option<Instant>,
}

impl LinkState {
    /// What is needed of `link`, or `None` if no frame can be sent through it now.
    #[must_use]
    pub fn of(link: &Link) -> Option<Self> {
        if !link.is(LinkFlag::Up) || !link.is(LinkFlag::Carrier) {
            return None;
        }
        let is_link_local =
            |address| matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
        let has_link_local = link.addresses.iter().any(|own| is_link_local(own.address));
        Some(Self { index: link.index, mac: link.mac?, has_link_local })
    }

    /// What of the link matters to addresses of `family`, or `None` if it cannot carry them.
    fn carrier_of(self, family: IpFamily) -> Option<Self> {
        match family {
            IpFamily::V4 => Some(Self { has_link_local: false, ..self }),
            IpFamily::V6 => self.has_link_local.then_some(self),
        }
    }
}

impl Default for Announcer {
    fn default() -> Self {
        Self::new(REFRESH_INTERVAL)
    }
}

impl Announcer {
    /// An announcer that owns nothing, and announces what it will own every `refresh_interval`
    /// (at least [`REFRESH_INTERVAL_MIN`]).
    #[must_use]
    pub fn new(refresh_interval: Duration) -> Self {
        Self {
            refresh_interval: refresh_interval.max(REFRESH_INTERVAL_MIN),
            links: BTreeMap::new(),
            claims: BTreeMap::new(),
            timers: BTreeSet::new(),
            paced_until: Instant::ORIGIN,
            replies: BTreeMap::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Replaces what is known of the host's interfaces: all that can send now, whether
    /// anything is announced there or not. What is announced on an interface that has
    /// appeared or changed is announced again there.
    pub fn set_links(&mut self, links: BTreeMap<InterfaceName, LinkState>, now: Instant) {
        let before = core::mem::replace(&mut self.links, links);
        self.replies.retain(|interface, _| self.links.contains_key(interface));
        let changed = |address: IpAddr, interface: &InterfaceName| {
            let carrier = |links: &BTreeMap<InterfaceName, LinkState>| {
                links.get(interface).and_then(|link| link.carrier_of(IpFamily::of(address)))
            };
            carrier(&before) != carrier(&self.links)
        };
        let restarted = self.claims_where(changed);
        for (address, interface) in restarted {
            self.restart(address, &interface, now);
        }
    }

    /// Owns `address` on exactly `interfaces` from now on. It is announced where it was not
    /// owned before; to repeat the call changes nothing.
    pub fn announce(&mut self, address: IpAddr, interfaces: &BTreeSet<InterfaceName>, now: Instant) {
        let owned: BTreeSet<_> =
            self.claims.get(&address).into_iter().flat_map(|claims| claims.keys().cloned()).collect();
        for left in owned.difference(interfaces) {
            self.release(address, left);
        }
        for joined in interfaces.difference(&owned) {
            self.claims.entry(address).or_default().insert(joined.clone(), Claim::default());
            self.restart(address, joined, now);
        }
    }

    /// Owns `address` no longer: nothing more is sent for it, not even what is queued.
    pub fn withdraw(&mut self, address: IpAddr, now: Instant) {
        self.announce(address, &BTreeSet::new(), now);
    }

    /// Announces every address of `protocol` on `interface` again, because what was sent there
    /// was lost: the socket had failed and has been reopened.
    pub fn reannounce(&mut self, interface: &InterfaceName, protocol: Protocol, now: Instant) {
        let lost = |address: IpAddr, name: &InterfaceName| {
            name == interface && Protocol::from(IpFamily::of(address)) == protocol
        };
        for (address, interface) in self.claims_where(lost) {
            self.restart(address, &interface, now);
        }
    }

    /// Announces what is due. Does nothing before the time of [`Announcer::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        if now < self.paced_until {
            return;
        }
        for _ in 0..ANNOUNCE_BATCH {
            if self.timers.first().is_none_or(|(due, ..)| *due > now) {
                return;
            }
            let Some((_, address, interface)) = self.timers.pop_first() else { return };
            self.announce_on(address, &interface, now);
        }
        self.paced_until = now + ANNOUNCE_PACE;
    }

    /// The next frame to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next thing the driver's owner should know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`Announcer::handle_timeout`], and why.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        let (due, address, interface) = self.timers.first()?;
        let schedule = self.claims.get(address)?.get(interface)?.schedule?;
        let timer = if schedule.is_in_burst() { Timer::Announce } else { Timer::Refresh };
        Some(((*due).max(self.paced_until), timer))
    }

    /// What must be listened to, on which interfaces.
    #[must_use]
    pub fn listening(&self) -> BTreeMap<&InterfaceName, Listening> {
        let mut listening: BTreeMap<_, Listening> = BTreeMap::new();
        for (address, claims) in &self.claims {
            for (interface, _) in claims.iter().filter(|(_, claim)| claim.schedule.is_some()) {
                let Some(LinkState { index, .. }) = self.links.get(interface).copied() else { continue };
                let nothing = Listening { index, arp: false, groups: BTreeSet::new() };
                let interface = listening.entry(interface).or_insert(nothing);
                match address {
                    IpAddr::V4(_) => interface.arp = true,
                    IpAddr::V6(address) => drop(interface.groups.insert(solicited_node(*address))),
                }
            }
        }
        listening
    }

    fn claims_where(&self, matches: impl Fn(IpAddr, &InterfaceName) -> bool) -> Vec<(IpAddr, InterfaceName)> {
        self.claims
            .iter()
            .flat_map(|(address, claims)| claims.keys().map(|interface| (*address, interface)))
            .filter(|(address, interface)| matches(*address, interface))
            .map(|(address, interface)| (address, interface.clone()))
            .collect()
    }

    /// Starts the schedule of a claim from its beginning, or stops it if the interface cannot
    /// carry the address now.
    fn restart(&mut self, address: IpAddr, interface: &InterfaceName, now: Instant) {
        self.silence(address, interface);
        let carrier = self.links.get(interface).and_then(|link| link.carrier_of(IpFamily::of(address)));
        let Some(claim) = self.claims.get_mut(&address).and_then(|claims| claims.get_mut(interface)) else {
            return;
        };
        claim.schedule = carrier.map(|_| Schedule::starting(now));
        if claim.schedule.is_some() {
            self.timers.insert((now, address, interface.clone()));
        }
    }

    fn release(&mut self, address: IpAddr, interface: &InterfaceName) {
        self.silence(address, interface);
        if let Some(claims) = self.claims.get_mut(&address) {
            claims.remove(interface);
            if claims.is_empty() {
                self.claims.remove(&address);
            }
        }
    }

    /// Takes back what is scheduled and queued for a claim.
    fn silence(&mut self, address: IpAddr, interface: &InterfaceName) {
        let scheduled = self.claims.get(&address).and_then(|claims| claims.get(interface)?.schedule);
        if let Some(schedule) = scheduled {
            self.timers.remove(&(schedule.due(), address, interface.clone()));
        }
        self.transmits.retain(|queued| queued.address != address || queued.interface != *interface);
    }

    /// Sends one announcement of a claim whose timer has just been taken, and sets the next.
    fn announce_on(&mut self, address: IpAddr, interface: &InterfaceName, now: Instant) {
        let Some(link) = self.links.get(interface).copied() else { return };
        let Some(claim) = self.claims.get_mut(&address).and_then(|claims| claims.get_mut(interface)) else {
            return;
        };
        let Some(schedule) = claim.schedule else { return };
        let next = schedule.after(now, self.refresh_interval);
        claim.schedule = Some(next);
        self.timers.insert((next.due(), address, interface.clone()));
        match address {
            IpAddr::V4(v4) => {
                let frame = frames::arp_announcement(link.mac, v4);
                self.transmit(interface, address, TransmitKind::ArpAnnouncement, frame);
                // Refreshing is for tables that already hold us, where either form will do.
                if schedule.is_in_burst() {
                    let frame = frames::arp_announcement_reply(link.mac, v4);
                    self.transmit(interface, address, TransmitKind::ArpAnnouncementReply, frame);
                }
            }
            IpAddr::V6(v6) => {
                let frame = frames::unsolicited_advertisement(link.mac, v6);
                self.transmit(interface, address, TransmitKind::UnsolicitedAdvertisement, frame);
            }
        }
    }

    /// Queues a frame; `false` if the queue is full.
    fn transmit(
        &mut self,
        interface: &InterfaceName,
        address: IpAddr,
        kind: TransmitKind,
        frame: Vec<u8>,
    ) -> bool {
        let has_room = self.transmits.len() < TRANSMIT_QUEUE_MAX;
        if has_room {
            self.transmits.push_back(Transmit { interface: interface.clone(), address, kind, frame });
        }
        has_room
    }
}

/// How many claims are announced at a time. With [`ANNOUNCE_PACE`] 10,000 in a second: a node
/// that takes over 1,000 addresses has announced all within 100 ms and no switch's
/// control plane gets more than it polices.
pub const ANNOUNCE_BATCH: usize = 100;

/// The pause after a full batch, in which requests are answered.
pub const ANNOUNCE_PACE: Duration = Duration::from_millis(10);

/// The most frames queued: five batches in two forms. A driver that drains after each input never
/// sees a tenth of it. A reply beyond it is dropped and reported, an announcement is
/// made up for by the next of its schedule.
pub const TRANSMIT_QUEUE_MAX: usize = 1024;

/// The most events queued; a conflict beyond it is reported when it is next heard.
pub const EVENT_QUEUE_MAX: usize = 256;

/// The most replies in a second on an interface: a segment of 5,000 hosts may ask all at once,
/// and a flood costs at most a few per cent of a core and 4 Mbit/s.
pub const REPLIES_PER_SECOND: u32 = 5_000;

/// The replies that may go out together.
pub const REPLIES_BURST: u32 = 1_000;

/// How often one conflict is reported, the `DEFEND_INTERVAL` of RFC 5227 §1.1: each
/// conflicting packet counts, but one report in this time is enough to act upon.
pub const CONFLICT_REPORT_INTERVAL: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
