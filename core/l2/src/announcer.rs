//! The state machine that probes, answers and announces.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;

use ferrolb_vocab::{Instant, InterfaceName, IpFamily, Link, LinkFlag, MacAddr, NodeName};
use ferrolb_wire::ipv6::solicited_node;

use crate::claim::{Claim, Start, State};
use crate::rate::ReplyLimit;
use crate::schedule::Intervals;
use crate::verdict::{Conflict, Event, Protocol, Timer, Transmit};

mod conflicts;
mod due;
mod packets;

/// Answers for the addresses this node owns, and announces them.
#[derive(Debug)]
pub struct Announcer {
    intervals: Intervals,
    links: BTreeMap<InterfaceName, LinkState>,
    /// The hardware addresses of the cluster's other nodes, once they are known.
    fellows: Option<BTreeMap<MacAddr, NodeName>>,
    claims: BTreeMap<IpAddr, BTreeMap<InterfaceName, Claim>>,
    /// Where an address may have to be answered for at any time.
    standby: BTreeSet<(InterfaceName, IpFamily)>,
    unproven: BTreeSet<(IpAddr, InterfaceName)>,
    /// When something is to be done for a claim, the next first.
    timers: BTreeSet<(Instant, IpAddr, InterfaceName)>,
    /// Announcing pauses until then because a batch has just gone out.
    paced_until: Instant,
    replies: BTreeMap<InterfaceName, ReplyLimit>,
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
    /// Whether Neighbor Discovery frames are wanted.
    pub ndp: bool,
    /// The solicited-node groups to be a member of, RFC 4861 §7.2.1.
    pub groups: BTreeSet<Ipv6Addr>,
}

impl Listening {
    const fn to_nothing(link: LinkState) -> Self {
        Self { index: link.index, arp: false, ndp: false, groups: BTreeSet::new() }
    }

    const fn hear(&mut self, family: IpFamily) {
        match family {
            IpFamily::V4 => self.arp = true,
            IpFamily::V6 => self.ndp = true,
        }
    }
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
        Self::new(Intervals::default())
    }
}

impl Announcer {
    /// An announcer that owns nothing.
    #[must_use]
    pub fn new(intervals: Intervals) -> Self {
        Self {
            intervals: intervals.clamped(),
            links: BTreeMap::new(),
            fellows: None,
            claims: BTreeMap::new(),
            standby: BTreeSet::new(),
            unproven: BTreeSet::new(),
            timers: BTreeSet::new(),
            paced_until: Instant::ORIGIN,
            replies: BTreeMap::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Replaces what is known of the host's interfaces: all that can send now, whether
    /// anything is announced there or not. What is announced on an interface that has
    /// appeared or changed is announced again there, and probed for if it never got as far.
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

    /// Replaces what is known of the other nodes' hardware addresses. While an address moves, its old
    /// and its new owner both announce it: one claim of a fellow is no conflict yet. Before the first
    /// call any claim could be a fellow's, so none is defended against.
    pub fn set_fellows(&mut self, fellows: BTreeMap<MacAddr, NodeName>) {
        self.fellows = Some(fellows);
    }

    /// Listens on exactly these interfaces from now on even while it owns nothing there, so that it can
    /// answer in the moment in which it does.
    pub fn stand_by(&mut self, standby: BTreeSet<(InterfaceName, IpFamily)>) {
        self.standby = standby;
    }

    /// Owns `address` on exactly `interfaces` from now on. Where it was not owned before it begins as
    /// `how` says; to repeat the call changes nothing, whatever `how` is.
    pub fn announce(
        &mut self,
        address: IpAddr,
        interfaces: &BTreeSet<InterfaceName>,
        how: Start,
        now: Instant,
    ) {
        let owned: BTreeSet<_> =
            self.claims.get(&address).into_iter().flat_map(|claims| claims.keys().cloned()).collect();
        for left in owned.difference(interfaces) {
            self.release(address, left);
        }
        for joined in interfaces.difference(&owned) {
            self.claims.entry(address).or_default().insert(joined.clone(), Claim::new(how));
            if how == Start::Probe {
                self.unproven.insert((address, joined.clone()));
            }
            self.restart(address, joined, now);
        }
    }

    /// Owns `address` no longer: nothing more is sent for it, not even what is queued.
    pub fn withdraw(&mut self, address: IpAddr) {
        let owned = self.claims.get(&address).into_iter().flatten();
        let interfaces: Vec<_> = owned.map(|(interface, _)| interface.clone()).collect();
        for interface in interfaces {
            self.release(address, &interface);
        }
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

    /// Probes for and announces what is due. Does nothing before the time of [`Announcer::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        if now < self.paced_until {
            return;
        }
        for _ in 0..ANNOUNCE_BATCH {
            if self.timers.first().is_none_or(|(due, ..)| *due > now) {
                return;
            }
            let Some((_, address, interface)) = self.timers.pop_first() else { return };
            self.on_due(address, &interface, now);
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
        let timer = match self.claims.get(address)?.get(interface)?.state {
            State::Waiting => return None,
            State::Probing(_) => Timer::Probe,
            State::Announced(schedule) if schedule.is_in_burst() => Timer::Announce,
            State::Announced(_) => Timer::Refresh,
        };
        Some(((*due).max(self.paced_until), timer))
    }

    /// What must be listened to, on which interfaces.
    #[must_use]
    pub fn listening(&self) -> BTreeMap<&InterfaceName, Listening> {
        let mut listening: BTreeMap<_, Listening> = BTreeMap::new();
        for (interface, family) in &self.standby {
            let Some(link) = self.links.get(interface).and_then(|link| link.carrier_of(*family)) else {
                continue;
            };
            listening.entry(interface).or_insert(Listening::to_nothing(link)).hear(*family);
        }
        for (address, claims) in &self.claims {
            for (interface, _) in claims.iter().filter(|(_, claim)| claim.state.due().is_some()) {
                let Some(link) = self.links.get(interface) else { continue };
                let listening = listening.entry(interface).or_insert(Listening::to_nothing(*link));
                listening.hear(IpFamily::of(*address));
                if let IpAddr::V6(address) = address {
                    listening.groups.insert(solicited_node(*address));
                }
            }
        }
        listening
    }

    /// Every address that is not used on an interface because nobody knows yet that it is free there.
    #[must_use]
    pub const fn unproven(&self) -> &BTreeSet<(IpAddr, InterfaceName)> {
        &self.unproven
    }

    /// Of those, every address that another station has.
    #[must_use]
    pub fn occupied(&self) -> Vec<Conflict> {
        let occupied = |(address, claims): (&IpAddr, &BTreeMap<InterfaceName, Claim>)| {
            let of = |(interface, claim): (&InterfaceName, &Claim)| {
                Some(self.conflict(*address, claim.occupied_by()?, interface))
            };
            claims.iter().filter_map(of).collect::<Vec<_>>()
        };
        self.claims.iter().flat_map(occupied).collect()
    }

    fn claims_where(&self, matches: impl Fn(IpAddr, &InterfaceName) -> bool) -> Vec<(IpAddr, InterfaceName)> {
        self.claims
            .iter()
            .flat_map(|(address, claims)| claims.keys().map(|interface| (*address, interface)))
            .filter(|(address, interface)| matches(*address, interface))
            .map(|(address, interface)| (address, interface.clone()))
            .collect()
    }

    /// Begins a claim anew, or stops it if the interface cannot carry the address now.
    fn restart(&mut self, address: IpAddr, interface: &InterfaceName, now: Instant) {
        self.forget_queued(address, interface);
        let carrier = self.links.get(interface).and_then(|link| link.carrier_of(IpFamily::of(address)));
        let Some(claim) = self.claim(address, interface) else { return };
        let state = carrier.map_or(State::Waiting, |_| State::beginning(claim.start, now));
        self.enter(address, interface, state);
    }

    fn release(&mut self, address: IpAddr, interface: &InterfaceName) {
        self.forget_queued(address, interface);
        self.enter(address, interface, State::Waiting);
        self.unproven.remove(&(address, interface.clone()));
        if let Some(claims) = self.claims.get_mut(&address) {
            claims.remove(interface);
            if claims.is_empty() {
                self.claims.remove(&address);
            }
        }
    }

    fn forget_queued(&mut self, address: IpAddr, interface: &InterfaceName) {
        self.transmits.retain(|queued| queued.address != address || queued.interface != *interface);
    }

    fn claim(&mut self, address: IpAddr, interface: &InterfaceName) -> Option<&mut Claim> {
        self.claims.get_mut(&address)?.get_mut(interface)
    }

    /// Puts a claim into `state`, and its timer in the place of the former state's.
    fn enter(&mut self, address: IpAddr, interface: &InterfaceName, state: State) {
        let Some(claim) = self.claim(address, interface) else { return };
        let former = core::mem::replace(&mut claim.state, state);
        if let Some(due) = former.due() {
            self.timers.remove(&(due, address, interface.clone()));
        }
        if let Some(due) = state.due() {
            self.timers.insert((due, address, interface.clone()));
        }
    }

    /// Queues a frame; `false` if the queue is full.
    fn transmit(&mut self, transmit: Transmit) -> bool {
        let has_room = self.transmits.len() < TRANSMIT_QUEUE_MAX;
        if has_room {
            self.transmits.push_back(transmit);
        }
        has_room
    }

    /// Queues an event; `false` if the queue is full.
    fn tell(&mut self, event: Event) -> bool {
        let has_room = self.events.len() < EVENT_QUEUE_MAX;
        if has_room {
            self.events.push_back(event);
        }
        has_room
    }
}

/// How many claims are probed for or announced at a time. With [`ANNOUNCE_PACE`] 10,000 in a second: a node
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

#[cfg(test)]
mod tests;
