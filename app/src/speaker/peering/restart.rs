//! What the speaker before this one may have left to its peers (RFC 4724 §4.1), and what it has found out.

use std::collections::BTreeSet;
use std::fs;
use std::mem;
use std::net::{SocketAddr, SocketAddrV6};
use std::time::Duration;

use ferrolb_link::Routers;
use ferrolb_peering::bgp::{Caller, HandedOver};
use ferrolb_telemetry::clock;
use ferrolb_vocab::{Instant, Link, ObjectName};

use super::sought::RESTART_TIME;

/// The node's speaker before this process, of which nothing is known but that there may have been one, and
/// whom it was connected to if it has handed that over.
#[derive(Clone, Debug, Default)]
pub(super) struct FormerLife {
    /// Whether the node forwards as it did then. A peer keeps routes for the Restart Time: if the node has
    /// been up for longer, what a peer keeps is of this life of the kernel's, which never stopped to forward.
    pub(super) forwards: bool,
    /// The peers that may have routes of it: those of the first plan, as long as they are planned.
    peers: Option<BTreeSet<ObjectName>>,
    /// The link-local addresses that its sessions are with, each with the index of its link. Whom it heard
    /// there does not advertise itself once more for this process before the first plan.
    pub(super) neighbors: Vec<SocketAddrV6>,
    /// When this process began.
    began: Instant,
}

impl FormerLife {
    /// The one that has handed over these `sessions`.
    pub(super) fn of_this_node(sessions: &[HandedOver]) -> Self {
        let restart_time = Duration::from_secs(RESTART_TIME.into());
        let uptime = fs::read_to_string(UPTIME).ok().and_then(|text| parse(&text));
        let remote = |session: &HandedOver| session.stream.peer_addr().ok();
        Self {
            forwards: uptime.is_some_and(|uptime| uptime > restart_time),
            peers: None,
            neighbors: sessions.iter().filter_map(remote).filter_map(link_local).collect(),
            began: clock::now(),
        }
    }

    /// Takes note of the peers of a plan. One that was left knows that its routes are gone.
    pub(super) fn note_peers(&mut self, planned: BTreeSet<ObjectName>) {
        self.peers = Some(match self.peers.take() {
            None => planned,
            Some(known) => known.intersection(&planned).cloned().collect(),
        });
    }

    /// The routers behind `links` that it was connected to. They are told once: a peer that was found by it
    /// stays as long as no other router is heard.
    pub(super) fn take_routers(&mut self, links: &[Link]) -> Routers {
        let router = |neighbor: SocketAddrV6| {
            let link = links.iter().find(|link| link.index == neighbor.scope_id())?;
            Some((link.name.clone(), *neighbor.ip()))
        };
        mem::take(&mut self.neighbors).into_iter().filter_map(router).collect()
    }

    /// Whether the peer may have routes of it. One that connects from a range may connect for the first time, and
    /// again and again: then as long as a peer keeps them.
    pub(super) fn left_routes_to(&self, peer: &ObjectName, now: Instant) -> bool {
        match Caller::of(peer) {
            None => self.knew(peer),
            Some(Caller { range, .. }) => {
                let age = now.saturating_since(self.began);
                self.knew(&range) && age < Duration::from_secs(RESTART_TIME.into())
            }
        }
    }

    fn knew(&self, peer: &ObjectName) -> bool {
        self.peers.as_ref().is_some_and(|peers| peers.contains(peer))
    }
}

fn link_local(remote: SocketAddr) -> Option<SocketAddrV6> {
    match remote {
        SocketAddr::V6(remote) => remote.ip().is_unicast_link_local().then_some(remote),
        SocketAddr::V4(_) => None,
    }
}

/// proc(5): seconds since the kernel was started, and those that it was idle.
const UPTIME: &str = "/proc/uptime";

fn parse(text: &str) -> Option<Duration> {
    let seconds = text.split_whitespace().next()?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_peers_of_the_first_plan_may_have_routes_of_a_former_life_until_they_are_left() {
        let [one, other] = ["one", "other"].map(|name| ObjectName::new("metallb-system", name));
        let both = || BTreeSet::from([one.clone(), other.clone()]);
        let mut life = FormerLife::default();
        assert!(!life.knew(&one));
        life.note_peers([one.clone()].into());
        life.note_peers(both());
        assert!(life.left_routes_to(&one, life.began) && !life.left_routes_to(&other, life.began));
        life.note_peers([other.clone()].into());
        life.note_peers(both());
        assert!(!life.knew(&one));
    }

    #[test]
    fn who_was_connected_to_over_a_link_is_the_router_behind_it_at_first() {
        let links = [Link {
            index: 9,
            name: "eth1".into(),
            mac: None,
            flags: BTreeSet::new(),
            addresses: Vec::new(),
        }];
        let remotes = ["[fe80::fe%9]:179", "[fe80::fd%8]:179", "[2001:db8::1]:179", "192.0.2.1:179"];
        let remotes = remotes.map(|text| text.parse().unwrap());
        let neighbors = remotes.into_iter().filter_map(link_local).collect();
        let mut life = FormerLife { neighbors, ..FormerLife::default() };
        let router = ("eth1".into(), "fe80::fe".parse().unwrap());
        assert_eq!(life.take_routers(&links), [router].into(), "link 8 is gone");
        assert_eq!(life.take_routers(&links), Routers::new());
    }

    #[test]
    fn who_connects_from_a_range_may_have_routes_of_a_former_life_as_long_as_it_would_keep_them() {
        let range = ObjectName::new("metallb-system", "leaves");
        let caller = Caller { range: range.clone(), address: [192, 0, 2, 7].into() }.name();
        let mut life = FormerLife::default();
        let began = life.began;
        let at = |seconds| began + Duration::from_secs(seconds);
        assert!(!life.left_routes_to(&caller, at(1)));
        life.note_peers([range.clone()].into());
        assert!(life.left_routes_to(&caller, at(1)) && life.left_routes_to(&caller, at(119)));
        assert!(!life.left_routes_to(&caller, at(120)) && life.left_routes_to(&range, at(120)));
    }

    #[test]
    fn the_uptime_is_read_as_the_kernel_writes_it() {
        assert_eq!(parse("350735.47 234388.90\n"), Some(Duration::from_millis(350_735_470)));
        for text in ["", "soon", "-1.0 0", "NaN 0"] {
            assert_eq!(parse(text), None, "{text}");
        }
        let text = fs::read_to_string(UPTIME).expect("Linux has it");
        assert!(parse(&text).is_some_and(|uptime| uptime > Duration::ZERO), "{text}");
    }
}
