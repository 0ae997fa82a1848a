//! The sessions with BGP peers: the drivers of BGP and BFD, what they are to do, and how it goes.
//!
//! ```text
//! plan ──sessions──> Peering ──> BgpHandle ──┐
//!                       ^ └────> BfdHandle   │ BgpView
//!                       └──BfdView, a lost path──┴──> BGPSession
//! ```
//!
//! BFD speaks to BGP through here, without a plan: a path that is lost is BGP's to know at once.
//!
//! # Layout
//! `sought` is what a peer's object means to the drivers, with `host` for what is the node's, `callers` for who
//! connects from a range, and `tables` what the peer is told; `restart` is what a former life left; `status` is
//! how a session is said to be.

mod callers;
mod host;
mod restart;
mod sought;
mod status;
mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use ferrolb_api::bgp_session::BgpSessionStatus;
use ferrolb_bgp::{BfdState, State, Status, Transport};
use ferrolb_peering::bfd::{self, BfdEvent, SessionPath, SessionStatus};
use ferrolb_peering::bgp::{self, BgpEvent, Caller, HandedOver, WantedPeer, WantedRange};
use ferrolb_peering::bmp::{self, BmpConfig, BmpMetrics};
use ferrolb_peering::recording::{Recorder, What};
use ferrolb_peering::{BfdConfig, BfdHandle, BfdMetrics, BfdView, BgpHandle, BgpMetrics, BgpView};
use ferrolb_plan::Action;
use ferrolb_telemetry::clock;
use ferrolb_vocab::{Instant, NodeName, ObjectName};
use ferrolb_wire::bfd::State as PathState;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use tokio::sync::{mpsc, watch};

use super::Sessions;
use super::inspect::{Inspector, KnownPeer, KnownPeers};
pub(super) use callers::range_status;
pub(super) use host::Host;
use restart::FormerLife;
use sought::{CannotPeer, Sought, sought, transitivity};
pub(super) use status::{WallClock, session as session_status};
use tables::{Table, Tables};

/// How often what is said of a session follows its counts, and its attempts while it is down: every write
/// is one for the API server, and there are as many as nodes and peers.
const DETAILS_INTERVAL: Duration = Duration::from_secs(10);

/// What BGP is asked for: peers, and the ranges that others may connect from.
type Wanted = (BTreeMap<ObjectName, WantedPeer>, BTreeMap<ObjectName, WantedRange>);

/// The drivers, and what they were asked for.
#[derive(Debug)]
pub(super) struct Peering {
    bgp: BgpHandle,
    bgp_view: watch::Receiver<BgpView>,
    bfd: BfdHandle,
    bfd_view: watch::Receiver<BfdView>,
    peers: BTreeMap<ObjectName, Result<Peer, CannotPeer>>,
    /// Those among them that have connected from a range, whether or not they may.
    callers: BTreeSet<Caller>,
    ranges: BTreeMap<ObjectName, WantedRange>,
    /// How many peers of each range were refused, as far as the log says.
    refused: BTreeMap<ObjectName, u64>,
    /// The same for who looks in from outside.
    known: watch::Sender<KnownPeers>,
    tables: Tables,
    former_life: FormerLife,
    /// Paths that BFD has lost, which BGP may not know yet. Only the last of what it is asked for counts.
    lost: BTreeSet<SessionPath>,
    /// What BGP was asked for last. That there is no peer is to be said too: until BGP is asked for the
    /// first time, it keeps the sessions of the speaker before this one.
    wanted: Option<Wanted>,
    clock: WallClock,
    statuses: BTreeMap<ObjectName, BgpSessionStatus>,
    /// When the statuses followed every detail last.
    detailed: Instant,
}

/// What the drivers' events come by.
#[derive(Debug)]
pub(super) struct PeeringEvents {
    pub(super) bgp: mpsc::Receiver<BgpEvent>,
    pub(super) bfd: mpsc::Receiver<BfdEvent>,
    /// Where what has happened is written down, for all that the speaker is told.
    pub(super) recorder: Recorder,
}

/// A peer that there can be a session with.
#[derive(Debug)]
struct Peer {
    sought: Sought,
    table: Table,
    is_shutting_down: bool,
    has_restarted: bool,
}

impl Peering {
    /// Starts the drivers, without a peer but with the sessions of the speaker before this one, which go on
    /// if they are planned.
    pub(super) fn start(
        bgp_metrics: BgpMetrics,
        bfd_metrics: BfdMetrics,
        bgp_sessions: Vec<HandedOver>,
        bfd_sessions: &[String],
    ) -> anyhow::Result<(Self, PeeringEvents)> {
        let bfd = bfd::resume(BfdConfig::default(), bfd_metrics, bfd_sessions)?;
        let former_life = FormerLife::of_this_node(&bgp_sessions);
        let bgp = bgp::resume(bgp_metrics, bgp_sessions)?;
        let now = clock::now();
        let recorder = bgp.handle.inspector().recorder().clone();
        let peering = Self {
            bgp: bgp.handle,
            bgp_view: bgp.view,
            bfd: bfd.handle,
            bfd_view: bfd.view,
            peers: BTreeMap::new(),
            callers: BTreeSet::new(),
            ranges: BTreeMap::new(),
            refused: BTreeMap::new(),
            known: watch::Sender::default(),
            tables: Tables::default(),
            former_life,
            lost: BTreeSet::new(),
            wanted: None,
            clock: WallClock::new(now, Timestamp::now()),
            statuses: BTreeMap::new(),
            detailed: now,
        };
        Ok((peering, PeeringEvents { bgp: bgp.events, bfd: bfd.events, recorder }))
    }

    /// Has monitoring stations told of the sessions: to be called before the first plan. That it cannot be
    /// costs no session.
    pub(super) fn export(&self, config: Option<BmpConfig>, metrics: &BmpMetrics) {
        let Some(config) = config else { return };
        if let Err(error) = bmp::spawn(config, self.bgp.monitor(), metrics) {
            let error = ferrolb_telemetry::chain(&error);
            tracing::error!(%error, "no BMP station is told of BGP sessions; restart the speaker to try again");
        }
    }

    /// What the sessions are looked into with, whatever this value does meanwhile.
    pub(super) fn inspector(&self, node: &NodeName) -> Inspector {
        Inspector {
            node: node.clone(),
            bgp: self.bgp.inspector().clone(),
            bgp_view: self.bgp_view.clone(),
            bfd_view: self.bfd_view.clone(),
            known: self.known.subscribe(),
            clock: self.clock,
        }
    }

    /// Writes down what was decided beside the sessions, for `ferrolb dump`.
    pub(super) fn note_decided(&self, now: Instant, actions: &[Action]) {
        let recorder = self.bgp.inspector().recorder();
        for action in actions {
            recorder.note(now, What::Speaker { kind: "decision", text: format!("{action:?}").into() });
        }
    }

    /// Has the drivers do what is planned on this host.
    pub(super) fn follow(&mut self, planned: &Sessions, host: &Host<'_>) {
        self.former_life.note_peers(planned.peers.keys().cloned().collect());
        let mut routers = self.former_life.take_routers(host.links);
        // Who has been heard by now is the one.
        routers.extend(host.routers.clone());
        let host = &Host { routers: &routers, ..*host };
        self.callers = callers::callers(&self.bgp_view.borrow().ranges);
        self.ranges = callers::ranges(&planned.peers);
        let sessions = callers::with_callers(&planned.peers, &self.callers);
        let peer = |(name, session): (&ObjectName, &ferrolb_plan::bgp::Session)| {
            let table = self.tables.table(&session.routes, transitivity(&session.peer));
            let before = self.peers.get(name).and_then(|peer| Some(&peer.as_ref().ok()?.sought));
            let sought = sought(&session.peer, host, self.former_life.forwards, before);
            if let Some(interface) = sought.as_ref().ok().and_then(|sought| sought.lost_link(before)) {
                tracing::warn!(object = %name, %interface, "the link to a BGP peer is down");
            }
            let peer = sought.map(|sought| Peer {
                sought,
                table,
                is_shutting_down: planned.is_shutting_down,
                has_restarted: self.former_life.left_routes_to(name, clock::now()),
            });
            (name.clone(), peer)
        };
        let peers = sessions.iter().map(peer).collect();
        self.peers = peers;
        self.show_known();
        self.tables.forget_unused();
        let paths = self.peers.values().filter_map(|peer| peer.as_ref().ok()?.sought.bfd.clone());
        self.bfd.set_sessions(paths.collect());
        self.reconcile();
    }

    fn show_known(&self) {
        let known = |(name, peer): (&ObjectName, &Result<Peer, CannotPeer>)| {
            let known = match peer {
                Ok(Peer { sought: Sought { config, bfd, .. }, .. }) => {
                    KnownPeer::of(config, bfd.as_ref().map(|(path, _)| path.clone()))
                }
                Err(why) => KnownPeer::Impossible(Box::new(status::impossible(*why))),
            };
            (name.clone(), known)
        };
        self.known.send_replace(Arc::new(self.peers.iter().map(known).collect()));
    }

    /// Waits until a session is otherwise than it was. Cancel-safe.
    ///
    /// # Errors
    /// A driver has ended.
    pub(super) async fn changed(&mut self) -> anyhow::Result<()> {
        tokio::select! {
            changed = self.bgp_view.changed() => changed.context("the BGP driver has ended"),
            changed = self.bfd_view.changed() => changed.context("the BFD driver has ended"),
        }
    }

    /// Whether who has connected from a range is another than with the last plan.
    pub(super) fn has_other_callers(&self) -> bool {
        callers::callers(&self.bgp_view.borrow().ranges) != self.callers
    }

    /// Tells BGP that BFD has lost a path, whatever has become of it since.
    pub(super) fn lose(&mut self, path: SessionPath) {
        self.lost.insert(path);
        self.reconcile();
    }

    /// Tells BGP what BFD says, and what is planned.
    pub(super) fn reconcile(&mut self) {
        let paths = Arc::clone(&self.bfd_view.borrow_and_update().sessions);
        let heard = Arc::clone(&self.bgp_view.borrow_and_update().peers);
        let watched = self.peers.iter().filter_map(|(name, peer)| {
            let (path, _) = peer.as_ref().ok()?.sought.bfd.as_ref()?;
            Some((name, path))
        });
        // BGP knows what it shows; a path that is nobody's any more concerns nobody.
        let is_unheard = |(name, path): &(&ObjectName, &SessionPath)| {
            let shown = heard.get(*name).map(|peer| peer.session.bfd);
            self.lost.contains(*path) && shown.is_some_and(|shown| shown != BfdState::Down)
        };
        let lost: BTreeSet<_> = watched.filter(is_unheard).map(|(_, path)| path.clone()).collect();
        let state = |peer: &Peer| match &peer.sought.bfd {
            Some((path, _)) if lost.contains(path) => BfdState::Down,
            Some((path, _)) => bfd_state(paths.get(path)),
            None => BfdState::AdminDown,
        };
        let peers = self.peers.iter().filter_map(|(name, peer)| Some((name, peer.as_ref().ok()?)));
        let wanted: BTreeMap<_, _> =
            peers.map(|(name, peer)| (name.clone(), peer.wanted(state(peer)))).collect();
        self.lost = lost;
        let wanted = (wanted, self.ranges.clone());
        if self.wanted.as_ref() != Some(&wanted) {
            let (peers, ranges) = wanted.clone();
            self.bgp.set_peers_and_ranges(peers, ranges);
            self.wanted = Some(wanted);
        }
    }

    /// How the sessions are, in the words of their objects.
    pub(super) fn statuses(&mut self, now: Instant) -> BTreeMap<ObjectName, BgpSessionStatus> {
        let paths = Arc::clone(&self.bfd_view.borrow().sessions);
        let BgpView { peers: heard, ranges } = self.bgp_view.borrow().clone();
        let status = |(name, peer): (&ObjectName, &Result<Peer, CannotPeer>)| {
            let mut status = match (peer, ranges.get(name)) {
                (Ok(peer), _) => {
                    let path = peer.sought.bfd.as_ref().and_then(|(path, _)| paths.get(path));
                    status::session(heard.get(name), path, &self.clock)
                }
                (Err(_), Some(range)) => range_status(range),
                (Err(why), None) => status::impossible(*why),
            };
            callers::note_caller(name, &mut status);
            (name.clone(), status)
        };
        let mut statuses: BTreeMap<_, _> = self.peers.iter().map(status).collect();
        if now.saturating_since(self.detailed) < DETAILS_INTERVAL {
            for (name, status) in &mut statuses {
                if let Some(before) = self.statuses.get(name)
                    && status::is_like(before, status)
                {
                    status.clone_from(before);
                }
            }
        } else {
            self.detailed = now;
            callers::log_refusals(&mut self.refused, &ranges);
        }
        self.statuses.clone_from(&statuses);
        statuses
    }

    /// Hands on how each session with a BGP peer is.
    pub(super) fn for_each_session(&self, show: impl Fn(&Transport, &Status)) {
        let heard = Arc::clone(&self.bgp_view.borrow().peers);
        for (name, peer) in self.wanted.iter().flat_map(|(peers, _)| peers) {
            if let Some(status) = heard.get(name) {
                show(&peer.config.transport, &status.session);
            }
        }
    }

    /// Hands on how the path to each BGP peer is that BFD watches.
    pub(super) fn for_each_path(&self, show: impl Fn(&Transport, &SessionStatus)) {
        let paths = Arc::clone(&self.bfd_view.borrow().sessions);
        for Peer { sought: Sought { config, bfd, .. }, .. } in self.peers.values().flatten() {
            if let Some(status) = bfd.as_ref().and_then(|(path, _)| paths.get(path)) {
                show(&config.transport, status);
            }
        }
    }

    /// What there is to say of BFD on this node as a whole, if it is used.
    pub(super) fn condition(&self) -> Option<Condition> {
        status::realtime(&self.bfd_view.borrow(), &self.clock)
    }

    /// Whether a peer has been told of anything that it would lose with this node.
    pub(super) fn advertises(&self) -> bool {
        let view = self.bgp_view.borrow();
        view.peers.values().any(|peer| {
            let session = &peer.session;
            session.state == State::Established && session.ipv4.advertised + session.ipv6.advertised > 0
        })
    }

    /// Ends all sessions for good, with a text for the peers' operators, and then those of BFD: a peer that
    /// was left first takes no silence for a failure.
    pub(super) async fn leave(self, text: String) {
        self.bgp.leave(Some(text.into())).await;
        self.bfd.leave().await;
    }

    /// Ends everything in silence. The sessions, of BGP and then of BFD, that the next speaker on this
    /// node goes on with.
    pub(super) async fn hand_over(self) -> (Vec<HandedOver>, Vec<String>) {
        let bgp = self.bgp.hand_over().await;
        (bgp, self.bfd.hand_over().await)
    }
}

impl Peer {
    fn wanted(&self, bfd: BfdState) -> WantedPeer {
        WantedPeer {
            config: self.sought.config.clone(),
            options: self.sought.options.clone(),
            routes: Table::clone(&self.table),
            // The first plan is made when everything has been read.
            is_complete: true,
            is_shutting_down: self.is_shutting_down,
            bfd,
            has_restarted: self.has_restarted,
        }
    }
}

/// What BGP is told of a path. That nobody knows yet, or that BFD was taken away, says nothing of it: only
/// what was up and failed is down.
fn bfd_state(path: Option<&SessionStatus>) -> BfdState {
    let Some(path) = path else { return BfdState::AdminDown };
    let has_failed = path.down.is_some_and(|why| why.is_failure());
    match path.state {
        PathState::Up => BfdState::Up,
        PathState::Down | PathState::Init if has_failed && path.remote_state != PathState::AdminDown => {
            BfdState::Down
        }
        PathState::Down | PathState::Init | PathState::AdminDown => BfdState::AdminDown,
    }
}

#[cfg(test)]
pub(super) mod tests;
