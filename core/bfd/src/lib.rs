//! Whether the path to a peer works, by Bidirectional Forwarding Detection: RFC 5880, over one
//! hop (RFC 5881) and over several (RFC 5883).
//!
//! A [`Session`] is one peer. Each side says its state in every packet, and how often it would
//! send and can receive; each goes by the slower of the two, and takes silence of the peer's
//! Detect Mult such intervals for a failure:
//!
//! ```text
//! the peer says:    Down    Init    Up      AdminDown    nothing, for the Detection Time
//!           Down    Init    Up      Down    Down         Down
//!           Init    Init    Up      Up      Down         Down
//!           Up      Down    Up      Up      Down         Down
//! ```
//!
//! From AdminDown only this side's operator leads away, to Down.
//!
//! An [`Engine`] is all sessions of a node: it finds the session of a packet, and counts the
//! packets that it discards, by reason.
//!
//! # AdminDown is no failure
//! That a peer's operator took BFD away says nothing about the path (RFC 5882 §3.2). It is told
//! as [`DownReason::NeighborAdminDown`], for which [`DownReason::is_failure`] is false. So is a Down for which
//! the peer blames this side, which has said nothing of the kind ([`DownReason::NeighborReset`]).
//!
//! # When the driver is late
//! It hands in the packets that have come before it calls [`Engine::handle_timeout`]: a session
//! whose packets wait in a socket is not down.
//!
//! # Random values
//! Discriminators come from the caller, who takes them from a source that nobody can predict
//! (RFC 5880 §6.8.1). The jitter of transmissions need only differ between neighbours: it is
//! drawn from a seed that the caller gives, as are the first of numbers that count packets.
//!
//! # The Echo function
//! Each side loops back what the other sends to itself, and says how often that may be. The side that
//! sends judges: a session whose Echo packets do not come back is down, and while they do, packets
//! of the peer's need not come oftener than once in a second. [`Engine::handle_echo`] says what to do
//! with one that came, [`Engine::poll_echo`] which are to go. Whether a driver can do either it says
//! with [`Engine::allow_echo`].
//!
//! # Authentication
//! With an [`Authentication`] in its configuration a session takes no packet that another key, or
//! none, was used for: RFC 5880 §6.7, all five types. Meticulous ones take none twice, until the peer
//! has been silent for twice the Detection Time.
//!
//! # A planned restart
//! A session that is Up goes on in another process, with [`Engine::resumption`] of the one as text to
//! [`Engine::resume`] of the other: the same discriminators, intervals, Poll Sequence and sequence
//! numbers. The peer notices nothing if its Detection Time has not passed meanwhile.
//!
//! What is absent: sockets, a clock, Demand mode on this side. A peer may be in Demand mode.
//!
//! # Layout
//! [`config`] is what an operator wants of a session, with [`authentication`]; [`session`] is the
//! state machine of one, with `negotiation` for the intervals that two sides agree on; [`engine`] is
//! the whole.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod authentication;
pub mod config;
pub mod engine;
pub mod session;

mod negotiation;

pub use authentication::{Authentication, Inauthentic, Key, KeyError};
pub use config::{Config, INTERVAL_MAX, INTERVAL_MIN, Role, Timing, TimingError};
pub use engine::{
    AddError, Arrival, Discarded, ECHO_TTL, EchoArrived, EchoTransmit, Engine, Path, SESSIONS_MAX, TTL,
    Transmit,
};
pub use session::{DownReason, Event, Resumption, ResumptionError, Session, Timer};
