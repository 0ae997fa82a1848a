//! What a router is told of a node's addresses, by BGP-4: RFC 4271, and what came after it.
//!
//! A [`Peer`] is one router, seen from this side. It is told of connections, octets and time, and
//! says what to send; it decides which of two connections survives (§6.8), when to try again, and
//! when the peer is gone:
//!
//! ```text
//!            start                connected              OPEN                KEEPALIVE
//!    Idle ---------> Connect ------------> OpenSent ------------> OpenConfirm ------------> Established
//!     ^   retry |       | refused             |                      |                         |
//!     |         +--- Active <-----------------+----------------------+-------------------------+
//!     |                 |        closed, NOTIFICATION, an error, a timer: try again later
//!     +-----------------+
//!            stop, from everywhere
//! ```
//!
//! [`RibOut`] is what the peer is to know and what it has been told (the Adj-RIB-Out): a session
//! that begins is told all of it, and changes are told as soon as the connection can take them: one
//! at once, a burst of them in a few UPDATEs within 5 ms.
//! What the peer says of its own routes is checked (RFC 7606) and counted, and goes no further.
//!
//! # The driver
//! After each call that takes `now`, it does what [`Peer::poll_transmit`] yields and takes what
//! [`Peer::poll_event`] yields until both are empty, then sleeps until [`Peer::poll_timeout`].
//! A round hands in one read of each connection, of 64 KiB at most, and then calls
//! [`Peer::handle_timeout`]: a peer whose KEEPALIVE waits in a socket is not silent, and one that
//! floods this side holds up no timer. Reports of a connection that the peer has closed or
//! aborted may still come, and mean nothing. Who changes routes ([`Peer::rib_out_mut`]) calls
//! [`Peer::flush`] after it.
//!
//! # Random values
//! Jitter need only differ between neighbours: it is drawn from a seed that the caller gives.
//!
//! What is absent: sockets, a clock, TCP's own options (MD5, Time to Live), a Loc-RIB, route
//! selection, the helper's side of graceful restart (there is nothing to keep: nothing the peer
//! says is used), any family other than IPv4 and IPv6 unicast.
//!
//! # Layout
//! [`config`] is what an operator wants; [`peer`] the state machine, with [`negotiation`] for what
//! two OPENs agree on and `connection` for what is known of one TCP connection. [`route`] is what
//! the operator wants of one prefix, [`rib_out`] all of them towards one peer. [`resumption`] is a
//! session on its way to the next process of this side. [`bmp`] is what monitoring stations are told
//! of all that.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod bmp;
pub mod config;
pub mod negotiation;
pub mod peer;
pub mod resumption;
pub mod rib_out;
pub mod route;

mod connection;

pub use bmp::{Monitored, MonitoredPeers, Station};
pub use config::{
    BfdPolicy, CONNECT_RETRY_TIME, Config, GracefulRestartConfig, HoldTime, HoldTimeError, RESTART_TIME_MAX,
    RemoteAsn, Role, Transport,
};
pub use connection::{ConnectionId, Direction};
pub use negotiation::{Negotiated, OpenRefused};
pub use peer::{
    BfdState, Event, Lost, MessageCounts, Peer, Reason, Received, ResetCause, State, Status, Stop, Timer,
    Told, Transmit,
};
pub use resumption::{ParseResumptionError, Resumption};
pub use rib_out::{Encoding, RibOut, Statistics, Withheld};
pub use route::{LinkBandwidth, Route, Transitivity};
