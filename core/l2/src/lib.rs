//! Who answers ARP and Neighbor Discovery for a Service's address, and when the address is
//! announced.
//!
//! What is absent: sockets, a clock, and the choice of the owner and of the interfaces, which
//! `core/plan` makes. Frames come in and go out as octets.
//!
//! ```text
//!   announce, withdraw, set_links ──> ┌───────────┐ ──> poll_transmit   frames to send
//!   handle_packet ──────────────────> │ Announcer │ ──> poll_event      conflicts
//!   handle_timeout ─────────────────> └───────────┘ ──> poll_timeout    when to call, and why
//!                                          └──────────> listening       what to listen to
//! ```
//!
//! After each input drain [`Announcer::poll_transmit`] and [`Announcer::poll_event`] until
//! `None`, then sleep until [`Announcer::poll_timeout`].
//!
//! # Layout
//! [`announcer`] holds the state machine; its submodule for packets answers and judges them.
//! [`verdict`] is what it says about a packet, `frames` composes what it sends, [`schedule`]
//! says when, `rate` bounds how often.
#![no_std]
#![deny(clippy::indexing_slicing)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod announcer;
mod frames;
mod rate;
pub mod schedule;
pub mod verdict;

pub use announcer::{Announcer, LinkState, Listening};
pub use verdict::{Conflict, Dropped, Event, Handled, Protocol, Timer, Transmit, TransmitKind};
