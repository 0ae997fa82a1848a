//! Speakers watching speakers: which nodes are alive and what they own, told on the node network.
//!
//! A [`Mesh`] is one speaker's view. It sends a heartbeat to each peer that watches it each
//! [`Timing::interval`], and to the others seldom, and says so. It takes a peer for dead when it
//! hears none for as long as that one has said, or at once when the peer says that it leaves, or
//! when the kernel of its node says that the process is gone:
//!
//! ```text
//!             heartbeat                     heartbeat
//!            +---------+                   +---------+
//!            |         v   silent, Leave,  |         v  REVIVAL_HEARTBEATS in a row,
//! Unknown ---+------> Alive ------------> Dead ------+--------------------> Alive
//!    |                    refused          ^            one of a new incarnation
//!    +-------------------------------------+   silent since it became a peer, Leave
//! ```
//!
//! An Unknown peer is presumed alive, so that a speaker that has just started takes no address
//! away from peers it has not had the time to hear. A peer that was never heard needs one
//! heartbeat to be alive, also after the presumption ran out, and so does a process that has
//! started anew; one that was alive before needs [`REVIVAL_HEARTBEATS`].
//!
//! # Whom a speaker believes
//! Whoever has a [`Key`] that it accepts. And only what is said now: each datagram echoes the
//! receiver's incarnation, so that nothing recorded before a speaker started counts for it; within
//! an incarnation the sequence grows. A peer that does not know the incarnation yet is told at
//! once, so that two speakers know each other after one round trip.
//!
//! A speaker with the key on a node that is none, because it was deleted or is new and not seen here
//! yet, is told everything and heard too, but no candidate: it may own addresses, or take for dead who does not
//! answer.
//!
//! # Claims
//! A speaker tells what it owns: each address with its epoch, in numbered versions, in pages.
//! The version stands in every heartbeat; a peer that lacks a page asks. Before
//! [`Mesh::start`] a speaker says nothing but questions, so that it can know what the others own
//! before it owns anything.
//!
//! # When this process, a peer, or the network stands still
//! - A peer that is stopped (SIGSTOP) is silent, and dead. It returns in the same incarnation
//!   with the claims it had; that others have higher epochs by then is for the plan to see.
//! - If it is this process that slept, it hears first what has arrived, and then gives everyone
//!   [`GRACE_INTERVALS`] more, once, before it calls anyone dead.
//! - If one direction of a path is cut, the one side takes the other for dead and is itself
//!   heard: the claims of who is heard tell the other what has become of its addresses.
//! - If a peer that is heard does not hear, nobody waits for its answers for ever ([`ASKS_MAX`]).
//! - Clocks may jump: [`ferrolb_vocab::Instant`] is monotonic. A clock set back gives the next process
//!   a lower incarnation than its peers know, which it sees by what they echo: it takes a higher one.
//!   If it hears none of them, it is believed [`FORGET_AFTER`] the death of its predecessor.
//!
//! # Who watches whom
//! In a small cluster everyone everyone. In a larger one those who have to act when a speaker
//! dies, and a few who tell the rest; everyone is heard by everyone in a slow round. See
//! [`Watching`] and [`Mesh::set_watchers`].
//!
//! What is absent: sockets, a clock, the choice of owners, and of those who are next to own.
//!
//! # Layout
//! [`timing`] is how often and how long; [`key`] is whom to believe; `peer` is what is known of
//! one peer, a state machine of its own; [`isolation`] is when this node is the one that is cut off; [`mesh`] is the whole: the five verbs, and what this
//! speaker says about itself.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod isolation;
pub mod key;
pub mod mesh;
pub mod timing;

mod epochs;
mod peer;

pub use epochs::EPOCHS_MAX;
pub use isolation::{Heard, Isolation};
pub use key::{Key, KeyError, KeyRing};
pub use mesh::{
    CLAIMS_MAX, DEAD_INTERVAL, EVERYONE_MAX, Event, Mesh, Rejected, SUCCESSORS, TOLD_INTERVAL, Timer,
    TooManyClaims, Transmit, Watching,
};
pub use peer::claims::{ASK_SPACING, ASKS_MAX};
pub use peer::refusals::REFUSALS;
pub use peer::{DeadReason, FORGET_AFTER, GRACE_INTERVALS, PeerState, REVIVAL_HEARTBEATS};
pub use timing::{Timing, TimingError};
