//! The speakers' liveness mesh on UDP.
//!
//! One OS thread, `liveness`, owns the mesh and its sockets, so that neither a busy runtime nor a
//! slow plan delays a heartbeat. Around it:
//!
//! ```text
//! LivenessHandle --Wanted (latest wins) + wake--> thread --LivenessView (latest wins)--> watch
//!                                                   |-----Event (EVENTS_MAX, then counted)--> mpsc
//! ```
//!
//! The thread ends after [`LivenessHandle::leave`], or without a word when the handle is dropped,
//! as if the process had died. Either way the view's senders close.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{io, thread};

use ferrolb_liveness::{Event, KeyRing, Mesh, Timing};
use ferrolb_vocab::{Epoch, IpFamily, NodeName};
use ferrolb_wire::mesh::NameError;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use driver::Driver;
pub use metrics::LivenessMetrics;
use sockets::Sockets;

use crate::realtime::{self, RealtimeError};
use crate::wake::{self, Waker};

mod driver;
mod metrics;
mod refusals;
mod sockets;

/// Events that wait to be logged; beyond it they are counted as drops with reason
/// `event_queue`. A hundred nodes can die and return while the reader is away.
pub const EVENTS_MAX: usize = 256;

/// How long [`LivenessHandle::leave`] waits for its announcement, which takes some 20 ms.
pub const LEAVE_TIMEOUT: Duration = Duration::from_secs(1);

/// Who this speaker is and where it listens.
#[derive(Clone, Debug)]
pub struct LivenessConfig {
    /// The name of this node's Node object.
    pub node: NodeName,
    /// How often and how long. Peers with another timing are watched by theirs.
    pub timing: Timing,
    /// Whether to go by [`Timing::FAST`] instead, if the thread can run before all others: whose
    /// heartbeats wait for a busy CPU would be taken for dead.
    pub fast: bool,
    /// What speakers know each other by.
    pub keys: KeyRing,
    /// The addresses to listen on and send from, one per family: the node's `InternalIP`s, or the
    /// unspecified addresses where the kernel picks an `InternalIP` as the source by itself;
    /// peers refuse what comes from another address. A family that this host does not have is
    /// skipped as long as one is left.
    pub bind: Vec<IpAddr>,
    /// The UDP port, the same on every node.
    pub port: u16,
}

/// Who is alive and owns what, as this node sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LivenessView {
    /// The nodes that may own addresses; this node itself while it announces itself. Without
    /// those that are about to leave.
    pub alive: BTreeSet<NodeName>,
    /// The nodes that are up and about to leave; this node itself if it is.
    pub leaving: BTreeSet<NodeName>,
    /// Whether each peer has been heard or missed, and the claims of each that is alive are
    /// known, so that nothing here is presumed.
    pub settled: bool,
    /// What the peers that are alive, also if they are leaving, own.
    pub claims: Arc<BTreeMap<NodeName, BTreeMap<IpAddr, Epoch>>>,
    /// The highest epoch ever heard of each address, this node's own included.
    pub highest_epochs: Arc<BTreeMap<IpAddr, Epoch>>,
    /// How often a peer that was taken for dead, and was not, has come back.
    pub returns: u64,
}

/// A running driver.
#[derive(Debug)]
pub struct Liveness {
    /// To say what is wanted.
    pub handle: LivenessHandle,
    /// Who is alive; closed when the driver has ended.
    pub view: watch::Receiver<LivenessView>,
    /// What changed, for the log.
    pub events: mpsc::Receiver<Event>,
    /// Why [`LivenessConfig::fast`] was not possible, if it was asked for.
    pub refused: Option<RealtimeError>,
}

/// Says what the driver shall do. Dropping it ends the driver without a Leave.
#[derive(Debug)]
pub struct LivenessHandle {
    // Dropped before the waker: the thread that wakes of the closed waker must find this closed.
    wanted: watch::Sender<Wanted>,
    waker: Waker,
    view: watch::Receiver<LivenessView>,
    families: BTreeSet<IpFamily>,
    port: u16,
}

/// What the driver shall do, all of it, at any time.
#[derive(Clone, Debug, Default)]
struct Wanted {
    /// Others than those at the start.
    keys: Option<Arc<KeyRing>>,
    peers: Option<Arc<BTreeMap<NodeName, Vec<SocketAddr>>>>,
    claims: Option<Arc<BTreeMap<IpAddr, Epoch>>>,
    watchers: Option<Arc<BTreeSet<NodeName>>>,
    is_leaving: bool,
    presence: Presence,
}

/// Only ever grows: a speaker that leaves does not return.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Presence {
    #[default]
    Quiet,
    Announced,
    Followed,
    Left,
}

/// Why the driver could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The node's name cannot be sent.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A socket cannot be opened.
    #[error(
        "listening on UDP {address} for the liveness of speakers was refused; stop what uses that port, or set another liveness port on every node"
    )]
    Open {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The configuration names no address, or none of a family that this host has.
    #[error("there is no address to listen on for the liveness of speakers; give the node's InternalIP")]
    NoAddress,
    /// The system has no resources for the thread or its wake-up.
    #[error("the liveness thread could not be started")]
    Thread(#[source] io::Error),
    /// The thread has ended before it began, which only a panic in it explains.
    #[error("the liveness thread has ended; the log says why")]
    ThreadGone,
}

/// Opens the sockets and starts the driver, which is quiet and knows no peer at first.
///
/// # Errors
/// A socket cannot be opened, or the node's name cannot be sent.
pub fn spawn(config: LivenessConfig, metrics: LivenessMetrics) -> Result<Liveness, SpawnError> {
    let (waker, wakened) = wake::pair().map_err(SpawnError::Thread)?;
    let sockets = Sockets::open(&config.bind, config.port, wakened)?;
    let families = sockets.families();
    let (thread, refused) = start_thread(config.fast)?;
    let timing = if config.fast && refused.is_none() { Timing::FAST } else { config.timing };
    let mesh = Mesh::new(config.node, incarnation(), timing, config.keys)?;
    let (wanted, wanted_by_handle) = watch::channel(Wanted::default());
    let (view, view_receiver) = watch::channel(LivenessView::default());
    let (events, event_receiver) = mpsc::channel(EVENTS_MAX);
    let driver =
        Driver::new(mesh, sockets, metrics, driver::Channels { wanted: wanted_by_handle, view, events });
    // The thread waits for this and for nothing else.
    thread.send(driver).map_err(|_driver| SpawnError::ThreadGone)?;
    let handle = LivenessHandle { wanted, waker, view: view_receiver.clone(), families, port: config.port };
    Ok(Liveness { handle, view: view_receiver, events: event_receiver, refused })
}

/// A thread that runs the driver it is given, if any. And why it does not run before others, if it should.
fn start_thread(fast: bool) -> Result<(SyncSender<Driver>, Option<RealtimeError>), SpawnError> {
    let (driver, drivers) = sync_channel::<Driver>(1);
    let (report, reports) = sync_channel(1);
    let run = move || {
        let refused = if fast { realtime::enter("liveness").err() } else { None };
        if report.send(refused).is_ok()
            && let Ok(driver) = drivers.recv()
        {
            driver.run();
        }
    };
    thread::Builder::new().name("liveness".to_owned()).spawn(run).map_err(SpawnError::Thread)?;
    let refused = reports.recv().map_err(|_closed| SpawnError::ThreadGone)?;
    Ok((driver, refused))
}

impl LivenessHandle {
    /// Replaces the peers: each node with its `InternalIP`s. This node may be among them.
    pub fn set_peers(&self, nodes: BTreeMap<NodeName, Vec<IpAddr>>) {
        let reachable = |address: &IpAddr| self.families.contains(&IpFamily::of(*address));
        let located = |addresses: Vec<IpAddr>| {
            addresses.into_iter().filter(reachable).map(|address| (address, self.port).into()).collect()
        };
        let peers = nodes.into_iter().map(|(node, addresses)| (node, located(addresses))).collect();
        self.want(|wanted| wanted.peers = Some(Arc::new(peers)));
    }

    /// Replaces what this speaker owns, which every peer is told as soon as it is announced.
    pub fn set_claims(&self, claims: BTreeMap<IpAddr, Epoch>) {
        let is_known = self.wanted.borrow().claims.as_deref() == Some(&claims);
        if !is_known {
            self.want(|wanted| wanted.claims = Some(Arc::new(claims)));
        }
    }

    /// Replaces the nodes that have to know at once when this one dies, where not all watch it.
    pub fn set_watchers(&self, watchers: BTreeSet<NodeName>) {
        let is_known = self.wanted.borrow().watchers.as_deref() == Some(&watchers);
        if !is_known {
            self.want(|wanted| wanted.watchers = Some(Arc::new(watchers)));
        }
    }

    /// Replaces the keys; see [`KeyRing`] for the order of a rotation.
    pub fn set_keys(&self, keys: KeyRing) {
        self.want(|wanted| wanted.keys = Some(Arc::new(keys)));
    }

    /// Whether this speaker is about to leave: its addresses are up for taking, and it owns them
    /// until others do.
    pub fn set_leaving(&self, is_leaving: bool) {
        self.want(|wanted| wanted.is_leaving = is_leaving);
    }

    /// Begins to announce this speaker: from now on it can own addresses.
    pub fn start(&self) {
        self.want(|wanted| wanted.presence = wanted.presence.max(Presence::Announced));
    }

    /// Tells the peers that this speaker owns nothing any more, and ends the driver. Returns
    /// when that is done and the port is free, or after [`LEAVE_TIMEOUT`].
    ///
    /// Cancel-safe in that the driver ends in any case; the peers may then not hear of it.
    pub async fn leave(self) {
        self.end(Presence::Left).await;
    }

    /// Tells the peers that another process on this node goes on in this one's place, and ends the
    /// driver. Returns when that is done and the port is free, or after [`LEAVE_TIMEOUT`].
    pub async fn hand_over(self) {
        self.end(Presence::Followed).await;
    }

    async fn end(mut self, presence: Presence) {
        self.want(|wanted| wanted.presence = wanted.presence.max(presence));
        let ended = async { while self.view.changed().await.is_ok() {} };
        if timeout(LEAVE_TIMEOUT, ended).await.is_err() {
            tracing::warn!("leaving the liveness mesh took too long, peers will notice by the silence");
        }
    }

    fn want(&self, change: impl FnOnce(&mut Wanted)) {
        self.wanted.send_modify(change);
        self.waker.wake();
    }
}

/// Larger in every later run, and not 0: nanoseconds since 1970. If the clock was set back, the mesh learns of
/// its peers what is larger.
fn incarnation() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests;
