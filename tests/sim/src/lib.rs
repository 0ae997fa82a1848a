//! Whole clusters of speakers in virtual time, with everything that can go wrong between them.
//!
//! A speaker here is the real one without its sockets: the mesh, and the decider of the loop.
//! The network between them loses, delays, reorders and doubles datagrams, and is cut; processes
//! are killed, stopped, restarted and asked to end; what the API server says reaches each of them
//! when it does. All of it follows from one number, so that what failed can be seen again.
//!
//! # Layout
//! `cluster` is what the API server says at first; [`random`] is where chance comes from; [`network`] carries datagrams or does not; [`speaker`] is
//! one node; [`world`] drives all of them through time; [`scenario`] is what happens to them;
//! [`monitor`] watches who answers for each address, and says what must not be.

#![expect(
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "the harness of tests is a test: what cannot be must stop it"
)]

mod cluster;
pub mod monitor;
pub mod network;
pub mod random;
pub mod scenario;
pub mod speaker;
pub mod world;

pub use monitor::Violation;
pub use scenario::{Fault, Scenario};
pub use world::World;
