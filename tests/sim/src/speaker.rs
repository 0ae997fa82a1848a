//! One speaker: the mesh and the decider, and the time at which it wants to be woken.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use ferrolb::speaker::{Decider, Facts};
use ferrolb_cluster::speaker::SpeakerView;
use ferrolb_l2::{Gateway, GatewayProbe};
use ferrolb_liveness::{Key, KeyRing, Mesh, Timing, Transmit, Watching};
use ferrolb_plan::{Action, Exclusions, Ownership};
use ferrolb_vocab::{Epoch, Instant, Link, LinkAddress, LinkFlag, MacAddr, NodeName};

use crate::network::Node;

/// The port of all meshes.
const PORT: u16 = 9482;

/// A speaker that runs.
#[derive(Debug)]
pub struct Speaker {
    mesh: Mesh,
    decider: Decider,
    view: ViewNumber,
    revision: Option<u64>,
    expires: Option<Instant>,
    answers: BTreeSet<IpAddr>,
    gateway: GatewayProbe,
    /// Since when the gateway is silent, as the last pass knew it.
    silent_since: Option<Instant>,
    asks_gateway: bool,
    has_carrier: bool,
    stage: Stage,
}

/// Which state of the API server a speaker has seen: a number that grows.
pub type ViewNumber = u64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It has not decided yet.
    Starting,
    Serving,
    /// It was asked to end, and waits until others have what it owns, until the time given.
    Leaving {
        until: Instant,
    },
}

/// What the API server says, and under which number.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The number.
    pub number: ViewNumber,
    /// The cluster.
    pub view: &'a SpeakerViewParts,
}

/// What makes a [`SpeakerView`], which cannot be cloned.
#[derive(Clone, Debug, Default)]
pub struct SpeakerViewParts {
    /// Services.
    pub services: BTreeMap<ferrolb_vocab::ServiceKey, Arc<ferrolb_plan::Service>>,
    /// Pools.
    pub pools: BTreeMap<ferrolb_vocab::PoolName, ferrolb_plan::Pool>,
    /// Advertisements.
    pub advertisements: ferrolb_plan::Advertisements,
    /// Nodes.
    pub nodes: BTreeMap<NodeName, ferrolb_plan::Node>,
}

impl SpeakerViewParts {
    fn view(&self) -> SpeakerView {
        SpeakerView {
            services: self.services.clone(),
            pools: self.pools.clone(),
            advertisements: self.advertisements.clone(),
            nodes: self.nodes.clone(),
            ..SpeakerView::default()
        }
    }
}

/// The name of a node.
#[must_use]
pub fn name(node: Node) -> NodeName {
    NodeName::from(format!("node-{node}"))
}

/// The node of a name.
fn node_named(name: &NodeName) -> Node {
    name.as_str().trim_start_matches("node-").parse().expect("a name of a simulation")
}

fn peers<'a>(nodes: impl IntoIterator<Item = &'a NodeName>) -> BTreeMap<NodeName, Vec<SocketAddr>> {
    nodes.into_iter().map(|name| (name.clone(), vec![address(node_named(name))])).collect()
}

/// The address of a node's mesh.
#[must_use]
pub fn address(node: Node) -> SocketAddr {
    let last = u8::try_from(node + 1).expect("a simulation has few nodes");
    SocketAddr::from((Ipv4Addr::new(192, 168, 100, last), PORT))
}

/// The node whose mesh has this address.
#[must_use]
pub fn node_at(address: SocketAddr) -> Option<Node> {
    match address.ip() {
        IpAddr::V4(v4) => Some(usize::from(v4.octets()[3]) - 1),
        IpAddr::V6(_) => None,
    }
}

impl Speaker {
    /// The speaker of `node` among the `nodes` it has seen, in its `incarnation`th run, watched by so many.
    ///
    /// # Panics
    /// Never: the names and keys of a simulation are good.
    #[must_use]
    pub fn new(
        node: Node,
        nodes: &[NodeName],
        (incarnation, watching): (u64, Watching),
        now: Instant,
    ) -> Self {
        let key = Key::new(b"the key of a simulation").expect("long enough");
        let keys = KeyRing::new(key, Vec::new()).expect("one key");
        let mut mesh = Mesh::new(name(node), incarnation, Timing::default(), keys).expect("a node's name");
        mesh = mesh.watched_by(watching);
        mesh.set_peers(peers(nodes), now);
        Self {
            mesh,
            decider: Decider::new(name(node), Exclusions::default(), false),
            view: 0,
            revision: None,
            expires: None,
            answers: BTreeSet::new(),
            gateway: GatewayProbe::new(gateway(node), now),
            silent_since: None,
            asks_gateway: false,
            has_carrier: true,
            stage: Stage::Starting,
        }
    }

    /// A datagram has come.
    pub fn receive(&mut self, from: SocketAddr, octets: &[u8], now: Instant) {
        // What is refused is refused for a reason that is not this crate's to judge.
        self.mesh.handle_packet(from, octets, now).ok();
    }

    /// Its interface has carrier from now on, or has none.
    pub const fn set_carrier(&mut self, has_carrier: bool) {
        self.has_carrier = has_carrier;
        // What the last pass knew is not so any more.
        self.revision = None;
    }

    /// The gateway has answered.
    pub fn hear_gateway(&mut self, now: Instant) {
        self.gateway.handle_answer(GATEWAY_MAC, now);
    }

    /// Whether it has asked the gateway since the last call.
    pub fn asked_gateway(&mut self) -> bool {
        std::mem::take(&mut self.asks_gateway)
    }

    /// Another process of its node takes over from it: what it owns, and what it sends to say so. One that
    /// was asked to end and found no successor by then has none.
    pub fn hand_over(&mut self, now: Instant) -> Option<(BTreeMap<IpAddr, Epoch>, Vec<Transmit>)> {
        if self.stage != Stage::Serving {
            return None;
        }
        let mut sent = Vec::new();
        self.mesh.hand_over(now);
        self.drain(&mut sent);
        Some((self.decider.estate(), sent))
    }

    /// Owns what the process before it owned.
    pub fn inherit(&mut self, estate: BTreeMap<IpAddr, Epoch>) {
        self.decider.inherit(estate);
    }

    /// It was asked to end; its successor is another process, later.
    pub fn leave(&mut self, now: Instant, until: Instant) {
        self.stage = Stage::Leaving { until };
        self.mesh.set_leaving(true, now);
    }

    /// Does what is due, given what it has seen of the API server; what it sends.
    pub fn step(&mut self, seen: Seen<'_>, now: Instant) -> Vec<Transmit> {
        let mut sent = Vec::new();
        self.mesh.handle_timeout(now);
        self.drain(&mut sent);
        self.asks_gateway |= self.gateway.handle_timeout(now).is_some();
        let is_silent_now = self.gateway.silent_since() != self.silent_since;
        let is_new = is_silent_now || self.revision != Some(self.mesh.revision()) || self.view != seen.number;
        if is_new || self.expires.is_some_and(|expires| expires <= now) {
            self.pass(seen, now);
            if self.stage == Stage::Starting {
                self.mesh.start(now);
                self.stage = Stage::Serving;
            }
            self.mesh.handle_timeout(now);
            self.drain(&mut sent);
        }
        sent
    }

    /// Whether it has come to its end, which it has if it was asked to.
    pub fn has_ended(&mut self, now: Instant) -> Option<Vec<Transmit>> {
        let Stage::Leaving { until } = self.stage else { return None };
        if now < until && !self.decider.estate().is_empty() {
            return None;
        }
        let mut sent = Vec::new();
        self.mesh.leave(now);
        self.drain(&mut sent);
        Some(sent)
    }

    /// When to call [`Speaker::step`] if nothing comes.
    #[must_use]
    pub fn wakes(&self) -> Option<Instant> {
        let until = match self.stage {
            Stage::Leaving { until } => Some(until),
            Stage::Starting | Stage::Serving => None,
        };
        let mesh = self.mesh.poll_timeout().map(|(due, _)| due);
        let gateway = Some(self.gateway.poll_timeout());
        [mesh, gateway, self.expires, until].into_iter().flatten().min()
    }

    /// The addresses it answers for.
    #[must_use]
    pub const fn answers(&self) -> &BTreeSet<IpAddr> {
        &self.answers
    }

    /// What it knows and holds, for a report.
    #[must_use]
    pub fn summary(&self) -> String {
        let held: Vec<String> =
            self.decider.estate().iter().map(|(address, epoch)| format!("{address}@{epoch}")).collect();
        let settled = if self.mesh.is_settled() { "" } else { ", unsettled" };
        let alive: Vec<String> = self.mesh.alive().iter().map(ToString::to_string).collect();
        format!("holds [{}], sees [{}]{settled}, {:?}", held.join(" "), alive.join(" "), self.stage)
    }

    fn pass(&mut self, seen: Seen<'_>, now: Instant) {
        self.silent_since = self.gateway.silent_since();
        if self.view != seen.number {
            self.mesh.set_peers(peers(seen.view.nodes.keys()), now);
        }
        let facts = Facts {
            now,
            links: vec![eth0(self.has_carrier)],
            alive: self.mesh.alive(),
            ownership: Ownership {
                held: BTreeMap::new(),
                claims: self.mesh.claims(),
                highest: self.mesh.highest_epochs(),
                leaving: self.mesh.leaving(),
                is_settled: self.mesh.is_settled(),
                ..Ownership::default()
            },
            gateway_silent_since: self.silent_since,
            ..Facts::default()
        };
        self.revision = Some(self.mesh.revision());
        self.view = seen.number;
        let pass = self.decider.decide(seen.view.view(), &facts);
        for action in pass.actions {
            match action {
                Action::Announce { address, .. } => drop(self.answers.insert(address)),
                Action::Withdraw(address) => drop(self.answers.remove(&address)),
            }
        }
        self.gateway.set_urgent(pass.is_alone, now);
        self.expires = pass.expires;
        self.mesh.set_watchers(pass.watchers);
        self.mesh.set_claims(pass.claims, now).expect("a simulation has few addresses");
    }

    fn drain(&mut self, sent: &mut Vec<Transmit>) {
        sent.extend(std::iter::from_fn(|| self.mesh.poll_transmit()));
        while self.mesh.poll_event().is_some() {}
    }
}

/// The hardware address of everybody's gateway.
const GATEWAY_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xfe]);

fn gateway(node: Node) -> Gateway {
    let gateway = Ipv4Addr::new(192, 168, 100, 254);
    Gateway { address: gateway.into(), own: address(node).ip(), mac: MacAddr([2, 0, 0, 0, 0, 1]) }
}

fn eth0(has_carrier: bool) -> Link {
    let address = Ipv4Addr::new(192, 168, 100, 1).into();
    let prefix = "192.168.100.0/24".parse().expect("a prefix");
    Link {
        index: 2,
        name: "eth0".into(),
        mac: Some(MacAddr([2, 0, 0, 0, 0, 1])),
        flags: [LinkFlag::Up, LinkFlag::Broadcast]
            .into_iter()
            .chain(has_carrier.then_some(LinkFlag::Carrier))
            .collect(),
        addresses: vec![LinkAddress { address, prefix }],
    }
}
