//! BFD on UDP.
//!
//! One OS thread, `bfd`, owns the sessions and their sockets, and runs before all that is not
//! real-time where the system allows it. Around it:
//!
//! ```text
//! BfdHandle --Wanted (latest wins) + wake--> thread --BfdView (latest wins)--> watch
//!                                              |-----BfdEvent (EVENTS_MAX, then counted)--> mpsc
//! ```
//!
//! It logs nothing and keeps no state of its own beside the sockets: what it cannot do is told as
//! the error of the session that needs it, and tried again. Without sessions it has no sockets.
//!
//! The thread ends after [`BfdHandle::leave`], or without a word when the handle is dropped, as
//! if the process had died. Either way the view's senders close.
//!
//! With [`BfdHandle::hand_over`] it ends without a word too, and [`resume`] in another process goes on
//! with the sessions. It sends as soon as it has its sockets, before anybody has said what is wanted.
//! Until then their peers hear nothing for a transmit interval, the longest that may have passed since
//! the last packet, and for as long as the lines are under way. With a Detect Mult of 3 that may take two
//! intervals, and Echo packets of a peer's are lost meanwhile.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;
use std::{io, thread};

use ferrolb_bfd::{Config, Path};
use ferrolb_telemetry::clock;
use ferrolb_vocab::InterfaceName;
use ferrolb_wire::bfd::Interval;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use driver::{Channels, Driver};
use inheritance::Inheritance;
pub use metrics::BfdMetrics;
use sessions::Sessions;
pub use status::{BfdEvent, BfdView, Counts, SessionError, SessionStatus};

use crate::realtime;
use crate::wake::{self, Waker};

mod driver;
mod echo;
mod inheritance;
mod listeners;
mod metrics;
mod retry;
mod sender;
mod session;
mod sessions;
mod status;

/// Events that wait to be read; beyond it they are counted as drops with reason `event_queue`.
/// The view has the last of each session all the same.
pub const EVENTS_MAX: usize = 1_024;

/// The shortest interval that is kept by a thread that runs as any other: at 50 ms it misses none
/// beside four busy processes on two processors, at 20 ms it takes living peers for dead.
pub const SHARED_INTERVAL_MIN: Interval = Interval::from_millis(50);

/// How old the counts in a view may be.
pub const VIEW_INTERVAL: Duration = Duration::from_millis(250);

/// How long [`BfdHandle::leave`] waits for the peers' Detection Times, 3 s with default
/// multipliers.
pub const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long [`BfdHandle::hand_over`] waits for the thread, which answers within milliseconds. Later the
/// peers have given up.
const HAND_OVER_TIMEOUT: Duration = Duration::from_secs(1);

/// Where packets are received. The default is what peers send to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BfdConfig {
    /// The IPv4 address to listen on.
    pub bind_v4: Ipv4Addr,
    /// The IPv6 address to listen on.
    pub bind_v6: Ipv6Addr,
    /// The UDP port of sessions over one hop, RFC 5881 §4, on both sides.
    pub single_hop_port: u16,
    /// The UDP port of sessions over several hops, RFC 5883 §5, on both sides.
    pub multihop_port: u16,
}

/// Between whom a session runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionPath {
    /// The peer's address.
    pub peer: IpAddr,
    /// The address to send from. Over several hops also the one that the peer sends to, for
    /// packets that do not name their session. `None`: the kernel picks one, and any will do.
    pub local: Option<IpAddr>,
    /// The interface to send on. Over one hop also the one that the peer's packets come by, if
    /// they do not name their session. `None`: whichever the routes say, and any will do.
    pub interface: Option<InterfaceName>,
    /// Whether routers may lie between: RFC 5883, otherwise RFC 5881.
    pub is_multihop: bool,
}

/// A running driver.
#[derive(Debug)]
pub struct Bfd {
    /// To say what is wanted.
    pub handle: BfdHandle,
    /// How the sessions are; closed when the driver has ended. Whoever reads it clones what is
    /// needed and lets go at once: the thread waits for readers.
    pub view: watch::Receiver<BfdView>,
    /// Sessions that came Up or left it, at once, when the view shows it.
    pub events: mpsc::Receiver<BfdEvent>,
}

/// Says which sessions shall run. Dropping it ends the driver in silence.
#[derive(Debug)]
pub struct BfdHandle {
    // Dropped before the waker: the thread that wakes of the closed waker must find this closed.
    wanted: watch::Sender<Wanted>,
    waker: Waker,
    view: watch::Receiver<BfdView>,
    handed_over: oneshot::Receiver<Vec<String>>,
}

/// What the driver shall do, all of it, at any time.
#[derive(Clone, Debug)]
struct Wanted {
    sessions: Arc<BTreeMap<SessionPath, Config>>,
    end: End,
}

/// When the driver is to end, as long as there is its handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Never,
    /// When the sessions have ended.
    Leave,
    /// At once, saying what another needs to go on.
    HandOver,
}

/// The system has no resources for the driver.
#[derive(Debug, thiserror::Error)]
#[error("the BFD thread could not be started")]
pub struct SpawnError(#[source] io::Error);

/// Starts the driver, which knows no session at first.
///
/// # Errors
/// There are no resources for the thread or its wake-up.
pub fn spawn(config: BfdConfig, metrics: BfdMetrics) -> Result<Bfd, SpawnError> {
    resume(config, metrics, &[])
}

/// Starts the driver with the sessions that another has handed over, a line of text for each. They are Up
/// from the start, in the view too, with no event; what is wanted first says which of them go on, as
/// every time. One that the lines do not tell, or not in time, begins anew.
///
/// # Errors
/// There are no resources for the thread or its wake-up.
pub fn resume(config: BfdConfig, metrics: BfdMetrics, lines: &[String]) -> Result<Bfd, SpawnError> {
    let inheritance = Inheritance::read(lines, clock::now());
    let (waker, wakened) = wake::pair().map_err(SpawnError)?;
    let (bfd, channels) = channels(waker, inheritance.configs());
    let run = move || {
        realtime::sharpen_timers();
        let refused = realtime::enter("BFD").err();
        metrics.set_realtime(refused.is_none());
        Driver::new(Sessions::new(config, refused, metrics, inheritance), wakened, channels).run();
    };
    thread::Builder::new().name("bfd".to_owned()).spawn(run).map_err(SpawnError)?;
    Ok(bfd)
}

/// The driver's channels: the user's ends, and its own. `sessions` are wanted until somebody says more.
fn channels(waker: Waker, sessions: BTreeMap<SessionPath, Config>) -> (Bfd, Channels) {
    let at_first = Wanted { sessions: Arc::new(sessions), end: End::Never };
    let (wanted, mut wanted_by_handle) = watch::channel(at_first);
    wanted_by_handle.mark_changed();
    let (view_sender, view) = watch::channel(BfdView::default());
    let (event_sender, events) = mpsc::channel(EVENTS_MAX);
    let (hand_over, handed_over) = oneshot::channel();
    let handle = BfdHandle { wanted, waker, view: view.clone(), handed_over };
    let channels = Channels {
        wanted: wanted_by_handle,
        view: view_sender,
        events: event_sender,
        handed_over: hand_over,
    };
    (Bfd { handle, view, events }, channels)
}

impl BfdHandle {
    /// Replaces the sessions. One that is there already stays Up through any change of its
    /// configuration; one that is not wanted any more tells its peer AdminDown for a Detection
    /// Time (RFC 5880 §6.8.16), which is no failure to the peer.
    pub fn set_sessions(&self, sessions: BTreeMap<SessionPath, Config>) {
        let is_known = *self.wanted.borrow().sessions == sessions;
        if !is_known {
            self.want(|wanted| wanted.sessions = Arc::new(sessions));
        }
    }

    /// Ends all sessions as if none were wanted any more, and then the driver. Returns when that
    /// is done and the ports are free, or after [`LEAVE_TIMEOUT`].
    ///
    /// Cancel-safe in that the driver ends in any case; the peers may then have been told but
    /// once. A restart that the peers shall not see as anyone's will is [`Self::hand_over`]'s.
    pub async fn leave(mut self) {
        self.want(|wanted| *wanted = Wanted { sessions: Arc::default(), end: End::Leave });
        let ended = async { while self.view.changed().await.is_ok() {} };
        if timeout(LEAVE_TIMEOUT, ended).await.is_err() {
            tracing::debug!("a BFD peer waits longer for packets than this process for its end");
        }
    }

    /// Ends the driver in silence, for another to go on with the sessions that are Up: a line of text for
    /// each, without secrets, for [`resume`] in the next process. When this returns, the ports are free.
    /// From then on every millisecond counts: see the head of this module.
    ///
    /// Cancel-safe in that the driver ends in any case.
    pub async fn hand_over(mut self) -> Vec<String> {
        self.want(|wanted| wanted.end = End::HandOver);
        if let Ok(Ok(lines)) = timeout(HAND_OVER_TIMEOUT, &mut self.handed_over).await {
            return lines;
        }
        tracing::warn!("the BFD sessions were not handed over; they begin anew");
        Vec::new()
    }

    fn want(&self, change: impl FnOnce(&mut Wanted)) {
        self.wanted.send_modify(change);
        self.waker.wake();
    }
}

impl BfdConfig {
    /// The UDP port of a kind of session.
    const fn port(&self, is_multihop: bool) -> u16 {
        if is_multihop { self.multihop_port } else { self.single_hop_port }
    }
}

impl Default for BfdConfig {
    fn default() -> Self {
        Self {
            bind_v4: Ipv4Addr::UNSPECIFIED,
            bind_v6: Ipv6Addr::UNSPECIFIED,
            single_hop_port: 3784,
            multihop_port: 4784,
        }
    }
}

impl SessionPath {
    /// What the engine knows it by, if its interface has that index.
    fn engine_path(&self, interface: u32) -> Path {
        if self.is_multihop {
            Path::Multihop { local: self.local_or_any(), peer: self.peer }
        } else {
            Path::SingleHop { interface, peer: self.peer }
        }
    }

    /// The local address, the unspecified one if any will do.
    fn local_or_any(&self) -> IpAddr {
        self.local.unwrap_or_else(|| unspecified(self.peer))
    }
}

/// The unspecified address of the family of `address`.
const fn unspecified(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

#[cfg(test)]
mod tests;
