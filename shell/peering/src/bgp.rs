//! BGP on TCP.
//!
//! One OS thread, `bgp`, carries all peers, each in a task of its own on a runtime that nothing else
//! shares: a busy process delays no KEEPALIVE, and a router that reads nothing delays no other.
//! Around it:
//!
//! ```text
//! BgpHandle --Wanted (latest wins)--> thread --BgpView (latest wins)--> watch
//!                                       |-----BgpEvent (EVENTS_MAX, then counted)--> mpsc
//! ```
//!
//! It logs nothing and decides nothing: what it cannot do is told as the error of the peer that needs
//! it, and tried again when [`ferrolb_bgp::Peer`] wants to connect again.
//!
//! This side opens the connections. Only where a peer may ([`TransportOptions::listen_port`]), or whoever
//! comes from a range of addresses ([`WantedRange`]), the thread listens, and refuses all others: a node
//! shares port 179 with other speakers.
//!
//! The thread ends after [`BgpHandle::leave`], or without a NOTIFICATION when the handle is dropped,
//! as if the process had died: a peer that knows graceful restart then keeps the routes. After
//! [`BgpHandle::hand_over`] the sessions go on in another process ([`resume`]), and peers notice nothing.
//! In any case the view's senders close.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;
use std::{io, thread};

use ferrolb_bgp::{BfdState, Config, MonitoredPeers, Resumption, Route};
use ferrolb_vocab::{IpPrefix, ObjectName};
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

pub use callers::{CALLERS_MAX, Caller, RangeStatus, WantedRange};
use driver::Driver;
pub use inspector::{AdjRibOut, BgpInspector};
pub use metrics::BgpMetrics;
pub use options::{Password, TransportOptions};
pub use status::{BgpEvent, BgpView, PeerError, PeerStatus};
use telling::Telling;

use crate::bmp::Exports;

mod callers;
mod connection;
mod driver;
mod inspector;
mod links;
mod listeners;
mod metrics;
mod options;
mod peer_driver;
mod socket;
mod status;
mod telling;

/// Events that wait to be read; beyond it they are counted as drops with reason `event_queue`.
/// The view has the last of each peer all the same.
pub const EVENTS_MAX: usize = 1_024;

/// How old the counts in a view may be.
pub const VIEW_INTERVAL: Duration = Duration::from_millis(250);

/// How long [`BgpHandle::leave`] waits: for peers to read why, and to close their side.
pub const LEAVE_TIMEOUT: Duration = Duration::from_secs(3);

/// How long [`BgpHandle::hand_over`] waits for the thread, which has nothing to wait for.
const HAND_OVER_TIMEOUT: Duration = Duration::from_secs(1);

/// What is to be of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedPeer {
    /// What the session is to be like, and where the peer is.
    pub config: Config,
    /// What TCP needs beside that.
    pub options: TransportOptions,
    /// What the peer is to know, all of it.
    pub routes: Arc<BTreeMap<IpPrefix, Arc<Route>>>,
    /// Whether these are known to be all routes: see [`ferrolb_bgp::RibOut::complete`]. There is no
    /// way back.
    pub is_complete: bool,
    /// Whether the routes are about to go away: RFC 8326.
    pub is_shutting_down: bool,
    /// What BFD says of the peer.
    pub bfd: BfdState,
    /// Whether the peer may still have routes of this speaker's former life, which its first OPENs
    /// then say: RFC 4724 §4.1. Counts when the peer is wanted for the first time.
    pub has_restarted: bool,
}

/// A running driver.
#[derive(Debug)]
pub struct Bgp {
    /// To say what is wanted.
    pub handle: BgpHandle,
    /// How the peers are; closed when the driver has ended. Whoever reads it clones what is needed
    /// and lets go at once: the thread waits for readers.
    pub view: watch::Receiver<BgpView>,
    /// What has become of the peers, at once, when the view shows it.
    pub events: mpsc::Receiver<BgpEvent>,
}

/// Says which peers there shall be, and what they shall know. Dropping it ends the driver in silence.
#[derive(Debug)]
pub struct BgpHandle {
    wanted: watch::Sender<Wanted>,
    view: watch::Receiver<BgpView>,
    exports: Exports,
    inspector: BgpInspector,
    handed_over: oneshot::Receiver<Vec<HandedOver>>,
}

/// An Established session on its way from one process to the next.
#[derive(Debug)]
pub struct HandedOver {
    /// With whom.
    pub peer: ObjectName,
    /// How it is.
    pub resumption: Resumption,
    /// Its connection, which ends when nobody has it any more.
    pub stream: TcpStream,
}

/// What the driver shall do, all of it, at any time.
#[derive(Clone, Debug, Default)]
struct Wanted {
    peers: Arc<BTreeMap<ObjectName, Arc<WantedPeer>>>,
    ranges: Arc<BTreeMap<ObjectName, WantedRange>>,
    ending: Option<Ending>,
}

/// How the driver ends.
#[derive(Clone, Debug)]
enum Ending {
    /// Once the peers have been told, with a text for their operators.
    Leave(Option<Box<str>>),
    /// Once the sessions are ready for another process.
    HandOver,
}

/// The system has no resources for the driver.
#[derive(Debug, thiserror::Error)]
#[error("the BGP thread could not be started")]
pub struct SpawnError(#[source] io::Error);

/// Starts the driver, which knows no peer at first.
///
/// # Errors
/// There are no resources for the thread or its runtime.
pub fn spawn(metrics: BgpMetrics) -> Result<Bgp, SpawnError> {
    resume(metrics, Vec::new())
}

/// Starts the driver with the sessions of the process before this one. Who is among the first peers
/// that [`BgpHandle::set_peers`] names keeps its session if it fits ([`ferrolb_bgp::Peer::resume`]),
/// and is told to forget whatever is not among the routes; the others are told that they are no peers
/// any more.
///
/// # Errors
/// There are no resources for the thread or its runtime.
pub fn resume(metrics: BgpMetrics, sessions: Vec<HandedOver>) -> Result<Bgp, SpawnError> {
    let runtime = Builder::new_current_thread().enable_io().enable_time().build().map_err(SpawnError)?;
    let (wanted, wanted_by_handle) = watch::channel(Wanted::default());
    let (view_sender, view) = watch::channel(BgpView::default());
    let (event_sender, events) = mpsc::channel(EVENTS_MAX);
    let telling = Telling::new(view_sender, event_sender, metrics);
    let (exports, inspector) = (telling.exports.clone(), telling.inspector.clone());
    let (hand_over, handed_over) = oneshot::channel();
    let driver = Driver::new(wanted_by_handle, sessions, telling);
    let run = move || {
        // If nobody waits for the sessions, they end here.
        hand_over.send(runtime.block_on(driver.run())).ok();
    };
    thread::Builder::new().name("bgp".to_owned()).spawn(run).map_err(SpawnError)?;
    let handle = BgpHandle { wanted, view: view.clone(), exports, inspector, handed_over };
    Ok(Bgp { handle, view, events })
}

impl BgpHandle {
    /// Replaces the peers. What a change does to a session that there is, is said at
    /// [`ferrolb_bgp::Peer::set_config`] and [`TransportOptions`]; changed routes are told as soon as
    /// the connection can take them. A peer that is not wanted any more is told so. There are no ranges.
    pub fn set_peers(&self, peers: BTreeMap<ObjectName, WantedPeer>) {
        self.set_peers_and_ranges(peers, BTreeMap::new());
    }

    /// The same, with the ranges that others may connect from. Who does is in the view, and becomes a peer
    /// when it is among `peers` by its name ([`Caller::name`]).
    pub fn set_peers_and_ranges(
        &self,
        peers: BTreeMap<ObjectName, WantedPeer>,
        ranges: BTreeMap<ObjectName, WantedRange>,
    ) {
        let peers = peers.into_iter().map(|(name, peer)| (name, Arc::new(peer))).collect();
        self.wanted.send_modify(|wanted| {
            (wanted.peers, wanted.ranges) = (Arc::new(peers), Arc::new(ranges));
        });
    }

    /// What monitoring stations are to be told of ([`crate::bmp::spawn`]), from what is new of a peer on:
    /// to be called before [`Self::set_peers`]. While nobody asks, nothing is kept for it.
    #[must_use]
    pub fn monitor(&self) -> watch::Receiver<MonitoredPeers> {
        self.exports.subscribe()
    }

    /// What the driver is looked into with, from now on and for as long as it runs.
    #[must_use]
    pub const fn inspector(&self) -> &BgpInspector {
        &self.inspector
    }

    /// Tells all peers that this node shuts down, with a text for their operators (RFC 9003), and
    /// ends the driver. Returns when they have read it, or after [`LEAVE_TIMEOUT`].
    ///
    /// Cancel-safe in that the driver ends in any case; peers may then not have been told. For a
    /// restart, through which peers shall keep the routes, drop the handle or hand over.
    pub async fn leave(mut self, text: Option<Box<str>>) {
        self.end(Ending::Leave(text));
        let ended = async { while self.view.changed().await.is_ok() {} };
        if timeout(LEAVE_TIMEOUT, ended).await.is_err() {
            tracing::debug!("BGP peers take longer to be left than this process has");
        }
    }

    /// Ends the driver without a word to anybody, and returns the sessions for another process. A
    /// session that is not Established yet ends, and so does each of which the connection is dropped.
    pub async fn hand_over(self) -> Vec<HandedOver> {
        self.end(Ending::HandOver);
        match timeout(HAND_OVER_TIMEOUT, self.handed_over).await {
            Ok(Ok(sessions)) => sessions,
            Ok(Err(_)) | Err(_) => {
                tracing::warn!("the BGP sessions were not handed over in time; they begin anew");
                Vec::new()
            }
        }
    }

    fn end(&self, ending: Ending) {
        let ending = Some(ending);
        self.wanted.send_modify(|wanted| *wanted = Wanted { ending, ..Wanted::default() });
    }
}

#[cfg(test)]
mod tests;
