//! Speakers watching speakers: which nodes are alive, decided from heartbeats on the node network.
//!
//! A [`Mesh`] is one speaker's view. It sends a heartbeat to every peer each
//! [`Timing::interval`] and takes a peer for dead when it hears none for
//! [`Timing::detection`], or at once when the peer says that it leaves:
//!
//! ```text
//!             heartbeat                     heartbeat
//!            +---------+                   +---------+
//!            |         v   silent, Leave   |         v  REVIVAL_HEARTBEATS in a row
//! Unknown ---+------> Alive ------------> Dead ------+--------------------> Alive
//!    |                                     ^
//!    +-------------------------------------+   silent since it became a peer, Leave
//! ```
//!
//! An Unknown peer is presumed alive, so that a speaker that has just started takes no address
//! away from peers it has not had the time to hear. A peer that was never heard needs one
//! heartbeat to be alive, also after the presumption ran out; a peer that was alive before needs
//! [`REVIVAL_HEARTBEATS`].
//!
//! What is absent: sockets, a clock, and, in this form of the mesh, authentication, a choice of
//! who watches whom (everyone watches everyone: n·(n−1) datagrams per interval in the cluster),
//! ownership claims and epochs. They belong behind the same five verbs.
//!
//! # Layout
//! [`timing`] is how often and how long; `peer` is what is known of one peer, a state machine of
//! its own; [`mesh`] is the whole: the five verbs, and what this speaker says about itself.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod mesh;
pub mod timing;

mod peer;

pub use mesh::{Event, Mesh, Rejected, Timer, Transmit};
pub use peer::{DeadReason, FORGET_AFTER, PeerState, REVIVAL_HEARTBEATS};
pub use timing::{Timing, TimingError};
