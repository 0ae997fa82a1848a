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
//! as [`DownReason::NeighborAdminDown`], for which [`DownReason::is_failure`] is false.
//!
//! # When the driver is late
//! It hands in the packets that have come before it calls [`Engine::handle_timeout`]: a session
//! whose packets wait in a socket is not down.
//!
//! # Random values
//! Discriminators come from the caller, who takes them from a source that nobody can predict
//! (RFC 5880 §6.8.1). The jitter of transmissions need only differ between neighbours: it is
//! drawn from a seed that the caller gives.
//!
//! What is absent: sockets, a clock, authentication, the Echo function, Demand mode on this side.
//! A peer may be in Demand mode.
//!
//! # Layout
//! [`config`] is what an operator wants of a session; [`session`] is the state machine of one,
//! with `negotiation` for the intervals that two sides agree on; [`engine`] is the whole.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod config;
pub mod engine;
pub mod session;

mod negotiation;

pub use config::{Config, INTERVAL_MAX, INTERVAL_MIN, Role, Timing, TimingError};
pub use engine::{AddError, Arrival, Discarded, Engine, Path, SESSIONS_MAX, TTL, Transmit};
pub use session::{DownReason, Event, Session, Timer};
