//! A session that outlives the process which has it: what that one says of it to the one that goes on.
//!
//! The connection stays open, and the peer notices nothing. What both sides have agreed on follows from
//! the two OPENs, by the code that came to it the first time. Of routes only the prefixes go from one
//! to the other: what is wanted the peer is told once more, with whatever attributes it has by now, and
//! the rest is withdrawn.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::time::Duration;

use ferrolb_vocab::IpPrefix;
use ferrolb_wire::bgp::{Cease, Families, Notification, Open};

use crate::config::Transport;
use crate::connection::Direction;
use crate::negotiation::both_keep_routes;
use crate::peer::Tally;

pub use text::ParseResumptionError;

mod text;

/// An Established session, as [`crate::Peer::hand_over`] tells it and [`crate::Peer::resume`] takes it.
/// As text it is one line without its line feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumption {
    pub(crate) direction: Direction,
    /// Where the connection goes, as the configuration had it.
    pub(crate) transport: Transport,
    /// This side's OPEN.
    pub(crate) offer: Open,
    /// The peer's.
    pub(crate) received: Open,
    /// The body of that as it came.
    pub(crate) body: Box<[u8]>,
    /// What has come of a message that is not whole.
    pub(crate) undecoded: Vec<u8>,
    /// What was sent on the connection and is not written, perhaps from within a message on: for the
    /// driver to fill in, which alone knows it, and for the next one to write before all else.
    pub unwritten: Vec<u8>,
    /// How long there has been a session.
    pub(crate) lasted: Duration,
    /// How long the peer may still be silent; `None` for ever.
    pub(crate) hold: Option<Duration>,
    /// How long until the next KEEPALIVE; `None` for none.
    pub(crate) keepalive: Option<Duration>,
    /// Of which families the peer is being told all routes again: RFC 7313 §4.
    pub(crate) refreshing: Families,
    /// What the peer was told, and not told to forget.
    pub(crate) advertised: BTreeSet<IpPrefix>,
    pub(crate) tally: Tally,
}

impl Resumption {
    /// What the peer is told if it is no peer any more, and then keeps no routes: RFC 8538 §3.
    #[must_use]
    pub fn deconfigured(&self) -> Notification {
        let cease = Notification::cease(Cease::PeerDeconfigured, None);
        if both_keep_routes(&self.offer, &self.received) { Notification::hard_reset(&cease) } else { cease }
    }
}
