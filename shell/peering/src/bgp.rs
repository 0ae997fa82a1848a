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
//! This side opens the connections. Only where a peer may ([`TransportOptions::listen_port`]) the thread
//! listens, and refuses whoever is not one: a node shares port 179 with other speakers.
//!
//! The thread ends after [`BgpHandle::leave`], or without a NOTIFICATION when the handle is dropped,
//! as if the process had died: a peer that knows graceful restart then keeps the routes. Either way
//! the view's senders close.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use std::{io, thread};

use ferrolb_bgp::{BfdState, Config, MonitoredPeers, Route};
use ferrolb_vocab::{IpPrefix, ObjectName};
use tokio::runtime::Builder;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use driver::Driver;
pub use metrics::BgpMetrics;
pub use options::{Password, TransportOptions};
pub use status::{BgpEvent, BgpView, PeerError, PeerStatus};
use telling::Telling;

use crate::bmp::Exports;

mod connection;
mod driver;
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
}

/// What the driver shall do, all of it, at any time.
#[derive(Clone, Debug, Default)]
struct Wanted {
    peers: Arc<BTreeMap<ObjectName, Arc<WantedPeer>>>,
    leaving: Option<Leaving>,
}

/// To end once the peers have been told, with a text for their operators.
#[derive(Clone, Debug)]
struct Leaving(Option<Box<str>>);

/// The system has no resources for the driver.
#[derive(Debug, thiserror::Error)]
#[error("the BGP thread could not be started")]
pub struct SpawnError(#[source] io::Error);

/// Starts the driver, which knows no peer at first.
///
/// # Errors
/// There are no resources for the thread or its runtime.
pub fn spawn(metrics: BgpMetrics) -> Result<Bgp, SpawnError> {
    let runtime = Builder::new_current_thread().enable_io().enable_time().build().map_err(SpawnError)?;
    let (wanted, wanted_by_handle) = watch::channel(Wanted::default());
    let (view_sender, view) = watch::channel(BgpView::default());
    let (event_sender, events) = mpsc::channel(EVENTS_MAX);
    let telling = Telling::new(view_sender, event_sender, metrics);
    let exports = telling.exports.clone();
    let driver = Driver::new(wanted_by_handle, telling);
    let run = move || runtime.block_on(driver.run());
    thread::Builder::new().name("bgp".to_owned()).spawn(run).map_err(SpawnError)?;
    Ok(Bgp { handle: BgpHandle { wanted, view: view.clone(), exports }, view, events })
}

impl BgpHandle {
    /// Replaces the peers. What a change does to a session that there is, is said at
    /// [`ferrolb_bgp::Peer::set_config`] and [`TransportOptions`]; changed routes are told as soon as
    /// the connection can take them. A peer that is not wanted any more is told so.
    pub fn set_peers(&self, peers: BTreeMap<ObjectName, WantedPeer>) {
        let peers = peers.into_iter().map(|(name, peer)| (name, Arc::new(peer))).collect();
        self.wanted.send_modify(|wanted| wanted.peers = Arc::new(peers));
    }

    /// What monitoring stations are to be told of ([`crate::bmp::spawn`]), from what is new of a peer on:
    /// to be called before [`Self::set_peers`]. While nobody asks, nothing is kept for it.
    #[must_use]
    pub fn monitor(&self) -> watch::Receiver<MonitoredPeers> {
        self.exports.subscribe()
    }

    /// Tells all peers that this node shuts down, with a text for their operators (RFC 9003), and
    /// ends the driver. Returns when they have read it, or after [`LEAVE_TIMEOUT`].
    ///
    /// Cancel-safe in that the driver ends in any case; peers may then not have been told. For a
    /// restart, through which peers shall keep the routes, drop the handle.
    pub async fn leave(mut self, text: Option<Box<str>>) {
        let leaving = Some(Leaving(text));
        self.wanted.send_modify(|wanted| *wanted = Wanted { peers: Arc::default(), leaving });
        let ended = async { while self.view.changed().await.is_ok() {} };
        if timeout(LEAVE_TIMEOUT, ended).await.is_err() {
            tracing::debug!("BGP peers take longer to be left than this process has");
        }
    }
}

#[cfg(test)]
mod tests;
