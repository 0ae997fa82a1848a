//! What the driver tells: how each peer is, and why it is not connected.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ferrolb_bgp::{Event, Status};
use ferrolb_vocab::{Instant, InterfaceName, ObjectName};
use nix::errno::Errno;

/// How all peers are, as far as they are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BgpView {
    /// Each wanted peer.
    pub peers: Arc<BTreeMap<ObjectName, PeerStatus>>,
}

/// How a peer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// When it was so, on the clock of [`ferrolb_telemetry::clock`].
    pub at: Instant,
    /// How the session is. Changes of its counts and of the time until the next attempt wake nobody
    /// who watches the view; these and the state before Established are up to
    /// [`super::VIEW_INTERVAL`] old.
    pub session: Status,
    /// Why the last attempt to connect came to nothing, if the system said so.
    pub error: Option<PeerError>,
}

/// What has become of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BgpEvent {
    /// Which.
    pub peer: ObjectName,
    /// What has happened.
    pub event: Event,
}

/// Why a connection was not opened. Each is tried again, when the peer is to be connected to again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// The connection would not be authenticated.
    #[error("TCP-MD5 (RFC 2385) cannot be set yet; remove the password at the BGPPeer and at the router")]
    Password,
    /// The addresses are not of one family.
    #[error("the peer {remote} cannot be reached from {local}, which is of another address family")]
    Families {
        /// The peer's address.
        remote: IpAddr,
        /// This side's.
        local: IpAddr,
    },
    /// A link-local address is unique on one link only.
    #[error("the peer {0} is link-local; name the interface that it is reached by")]
    LinkLocal(IpAddr),
    /// The named interface or VRF cannot be used.
    #[error("interface {interface} cannot be used")]
    Interface {
        /// Its name.
        interface: InterfaceName,
        /// What the system says.
        #[source]
        source: Errno,
    },
    /// Nothing can be sent from the local address.
    #[error("connecting from {local} was refused; the address has to be this node's")]
    Local {
        /// The address.
        local: IpAddr,
        /// What the system says.
        #[source]
        source: Errno,
    },
    /// There is no socket as it is needed.
    #[error("opening a TCP socket was refused")]
    Socket(#[source] Errno),
    /// The peer, or what lies before it, does not want the connection.
    #[error("the connection to {remote} was not opened")]
    Connect {
        /// Where it should have gone.
        remote: SocketAddr,
        /// What the system says.
        #[source]
        source: Errno,
    },
}

impl PeerStatus {
    /// Whether the other differs in nothing but counts and times that pass by themselves.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let Self { at, session, .. } = self;
        let counted = Status {
            next_attempt: session.next_attempt,
            attempts: session.attempts,
            sent: session.sent,
            received: session.received,
            routes: session.routes,
            ..other.session.clone()
        };
        *self == Self { at: *at, session: counted, error: other.error.clone() }
    }
}

impl PeerError {
    /// The reason's name, for logs and conditions.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Password => "PasswordUnsupported",
            Self::Families { .. } => "AddressFamiliesDiffer",
            Self::LinkLocal(_) => "InterfaceMissing",
            Self::Interface { .. } => "InterfaceUnusable",
            Self::Local { .. } => "LocalAddressUnusable",
            Self::Socket(_) => "SocketRefused",
            Self::Connect { .. } => "ConnectionNotOpened",
        }
    }
}
