//! What the driver tells: how each session is, and why one is not as it should be.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use ferrolb_bfd::{AddError, DownReason};
use ferrolb_vocab::{Instant, InterfaceName};
use ferrolb_wire::bfd::{Diagnostic, Interval, State};
use nix::errno::Errno;

use super::{SHARED_INTERVAL_MIN, SessionPath};
use crate::realtime::RealtimeError;

/// How all sessions are, as far as they are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BfdView {
    /// Why the thread runs as any other, if it does: sessions with intervals below
    /// [`SHARED_INTERVAL_MIN`] are refused then.
    pub refused: Option<RealtimeError>,
    /// Each wanted session.
    pub sessions: Arc<BTreeMap<SessionPath, SessionStatus>>,
}

/// How a session is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionStatus {
    /// Its state, Down while it does not run.
    pub state: State,
    /// What the peer says of its own, Down while the peer is not heard. AdminDown is no failure
    /// (RFC 5882 §3.2): nobody need wait for such a peer.
    pub remote_state: State,
    /// Why it left Up last, as the peer is told.
    pub local_diag: Diagnostic,
    /// What the peer gave as its reason last.
    pub remote_diag: Diagnostic,
    /// This side's name of it; `None` while it does not run.
    pub local_discr: Option<NonZeroU32>,
    /// How often this side sends, jitter aside; `None` while no packets go periodically.
    pub tx_interval: Option<Interval>,
    /// How often the peer sends at least; `None` while it is not heard.
    pub rx_interval: Option<Interval>,
    /// How long the peer may be silent; `None` while it is not heard.
    pub detection_time: Option<Duration>,
    /// How often this side sends Echo packets, jitter aside; `None` while none go.
    pub echo_interval: Option<Interval>,
    /// Since when it is Up, in this process and those whose session it goes on with, on the clock of
    /// [`ferrolb_telemetry::clock`].
    pub up_since: Option<Instant>,
    /// Why it left Up last; `None` if it never did.
    pub down: Option<DownReason>,
    /// What was counted since it was first wanted.
    pub counts: Counts,
    /// Why it does not run, or not as it is wanted.
    pub error: Option<SessionError>,
}

/// What is counted of a session. Changes of these alone wake nobody who watches the view, and
/// are up to [`super::VIEW_INTERVAL`] old.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets sent.
    pub sent: u64,
    /// Packets taken, without those that were discarded.
    pub received: u64,
    /// Packets that the system refused to send, of either kind.
    pub send_errors: u64,
    /// Echo packets sent.
    pub echo_sent: u64,
    /// Echo packets of this side's that came back in time.
    pub echo_returned: u64,
    /// Echo packets of the peer's that were sent back.
    pub echo_looped_back: u64,
    /// How often it came Up.
    pub ups: u64,
    /// How often it left Up.
    pub downs: u64,
}

/// A change of a session between Up and not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BfdEvent {
    /// Whose.
    pub path: SessionPath,
    /// What happened.
    pub change: ferrolb_bfd::Event,
}

/// Why a session does not run, or not as it is wanted. What the system refuses is tried again by
/// and by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The thread cannot keep such intervals.
    #[error(
        "an interval of {} ms takes a thread that runs before all others; set at least {} ms",
        .interval.micros() / 1_000, SHARED_INTERVAL_MIN.micros() / 1_000
    )]
    Interval {
        /// The shorter of the two that are wanted.
        interval: Interval,
        /// Why there is no such thread.
        #[source]
        source: RealtimeError,
    },
    /// The addresses are not of one family.
    #[error("the peer {peer} cannot be reached from {local}, which is of another address family")]
    Families {
        /// The peer's address.
        peer: IpAddr,
        /// This side's.
        local: IpAddr,
    },
    /// A link-local address is unique on one link only.
    #[error("the peer {0} is link-local; name the interface that it is reached by")]
    LinkLocal(IpAddr),
    /// The named interface cannot be used.
    #[error("interface {interface} cannot be used")]
    Interface {
        /// Its name.
        interface: InterfaceName,
        /// What the system says.
        #[source]
        source: Errno,
    },
    /// Packets cannot be received.
    #[error(
        "listening on UDP {address} for BFD was refused; stop what uses that port on the node, which may be the BFD \
         of another routing daemon"
    )]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: Errno,
    },
    /// Packets cannot be sent from the local address.
    #[error("sending BFD packets from {local} was refused; the address has to be this node's")]
    Local {
        /// The address, the unspecified one where the kernel picks it.
        local: IpAddr,
        /// What the system says.
        #[source]
        source: Errno,
    },
    /// Each of some source ports is in use.
    #[error("no source port for BFD was found among {0} that were tried")]
    SourcePort(u16),
    /// A packet was not sent.
    #[error("sending a BFD packet was refused")]
    Send(#[source] Errno),
    /// There is no socket for Echo packets; the session runs without them.
    #[error(
        "a packet socket for BFD Echo packets was refused; give the speaker CAP_NET_RAW or turn echo mode off"
    )]
    Echo(#[source] Errno),
    /// There is no randomness for the discriminator.
    #[error("the system gives no random octets")]
    Random,
    /// There is another session like it, or there are too many.
    #[error(transparent)]
    Add(#[from] AddError),
}

impl SessionError {
    /// The reason's name, for logs and conditions.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Interval { .. } => "SchedulingRefused",
            Self::Families { .. } => "AddressFamiliesDiffer",
            Self::LinkLocal(_) => "InterfaceMissing",
            Self::Interface { .. } => "InterfaceUnusable",
            Self::Listen { .. } => "PortUnusable",
            Self::Local { .. } => "LocalAddressUnusable",
            Self::SourcePort(_) => "NoSourcePort",
            Self::Send(_) => "SendRefused",
            Self::Echo(_) => "EchoUnusable",
            Self::Random => "NoRandomness",
            Self::Add(AddError::PathTaken) => "PeerTaken",
            Self::Add(AddError::DiscriminatorTaken) => "DiscriminatorTaken",
            Self::Add(AddError::Full) => "TooManySessions",
        }
    }
}

impl BfdView {
    /// Whether the other differs in nothing but what is counted of each packet.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.refused == other.refused
            && self.sessions.len() == other.sessions.len()
            && self.sessions.iter().zip(&*other.sessions).all(|((path, status), (other_path, other))| {
                path == other_path && *status == SessionStatus { counts: status.counts, ..other.clone() }
            })
    }
}
