//! What the driver tells: how each peer is, and why it is not connected.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ferrolb_bgp::{Event, Status};
use ferrolb_vocab::{Instant, InterfaceName, ObjectName};
use nix::errno::Errno;

use super::RangeStatus;

/// How all peers are, as far as they are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BgpView {
    /// Each wanted peer.
    pub peers: Arc<BTreeMap<ObjectName, PeerStatus>>,
    /// Each wanted range, with those who have connected.
    pub ranges: Arc<BTreeMap<ObjectName, RangeStatus>>,
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
    /// Why the last attempt to connect came to nothing, as far as the system says, or why the peer cannot
    /// connect.
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

/// Why there is no connection. To connect is tried again when [`ferrolb_bgp::Peer`] wants it, to listen every
/// second.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// The connection would not be authenticated.
    #[error("the password is no key for TCP-MD5: give it 1 to 80 octets, and Linux CONFIG_TCP_MD5SIG")]
    Password(#[source] Errno),
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
    /// Nothing comes or goes on the link that the peer is on.
    #[error("interface {0}, which the peer is on, is down or has no carrier; see to its cable or the switch")]
    LinkDown(InterfaceName),
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
    /// Nothing came back.
    #[error("nothing came back from {0}: it is down or cut off, or wants a password that the BGPPeer lacks")]
    NoAnswer(SocketAddr),
    /// Nothing came back that had the key's signature, without which everything is dropped unread.
    #[error(
        "nothing came back from {0} that is signed with the password: it is down or cut off, or has another \
         password or none"
    )]
    NoSignedAnswer(SocketAddr),
    /// The peer is to connect to this side, and cannot.
    #[error(
        "nothing can listen on {address}; it has to be this node's, free (other BGP speakers take port 179) \
         and allowed (CAP_NET_BIND_SERVICE)"
    )]
    Listen {
        /// Where the peer should have come to.
        address: SocketAddr,
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
            Self::Password(_) => "PasswordUnusable",
            Self::Families { .. } => "AddressFamiliesDiffer",
            Self::LinkLocal(_) => "InterfaceMissing",
            Self::Interface { .. } => "InterfaceUnusable",
            Self::LinkDown(_) => "LinkDown",
            Self::Local { .. } => "LocalAddressUnusable",
            Self::Socket(_) => "SocketRefused",
            Self::Connect { .. } => "ConnectionNotOpened",
            Self::NoAnswer(_) => "NoAnswer",
            Self::NoSignedAnswer(_) => "NoSignedAnswer",
            Self::Listen { .. } => "ListenRefused",
        }
    }
}
