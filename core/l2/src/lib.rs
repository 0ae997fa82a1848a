//! Who answers ARP and Neighbor Discovery for a Service's address, and when the address is
//! probed for, announced and defended.
//!
//! What is absent: sockets, a clock, and the choice of the owner and of the interfaces, which
//! `core/plan` makes. Frames come in and go out as octets.
//!
//! ```text
//!   announce, withdraw, set_links ──> ┌───────────┐ ──> poll_transmit   frames to send
//!   handle_packet ──────────────────> │ Announcer │ ──> poll_event      conflicts, occupied addresses
//!   handle_timeout ─────────────────> └───────────┘ ──> poll_timeout    when to call, and why
//!                                          └──────────> listening       what to listen to
//! ```
//!
//! After each input drain [`Announcer::poll_transmit`] and [`Announcer::poll_event`] until
//! `None`, hand back what could not be sent ([`Announcer::handle_unsent`]), then sleep until
//! [`Announcer::poll_timeout`].
//!
//! # Layout
//! [`announcer`] holds the state machine; its submodules answer packets, judge what other stations claim,
//! and do what is due. [`claim`] is one address on one interface. [`verdict`] is what is said about a
//! packet, `frames` composes what is sent, [`schedule`] says when, [`rate`] bounds how often. [`gateway`],
//! [`router_discovery`] and [`stall`] are machines of their own: whether a gateway answers, who the router
//! behind a link is, and whether this process stood still.
#![no_std]
#![deny(clippy::indexing_slicing)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod announcer;
pub mod claim;
mod frames;
pub mod gateway;
pub mod rate;
pub mod router_discovery;
pub mod schedule;
pub mod stall;
pub mod verdict;

pub use announcer::{Announcer, LinkState, Listening};
pub use claim::Start;
pub use gateway::{Gateway, GatewayProbe};
pub use router_discovery::RouterDiscovery;
pub use schedule::Intervals;
pub use stall::Stall;
pub use verdict::{Conflict, Dropped, Event, Handled, Protocol, Purpose, Timer, Transmit, TransmitKind};
