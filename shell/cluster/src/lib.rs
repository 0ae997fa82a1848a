//! The cluster as FerroLB reads and writes it: watches in, core values and per-object errors
//! out; statuses, Events and the leader Lease back.
//!
//! What is absent: decisions. Parsing says what an object means or what is wrong with it;
//! whether a Service gets an address, or a node announces it, is decided in `core/`.
//!
//! # Layout
//! [`client`] connects; [`watches`] keeps local copies, [`config`] those of the configuration, `bgp` those of
//! its kinds that only BGP needs, [`services`] that of the Services, of each only what is read,
//! [`coexistence`] those of `MetalLB`'s Pods; [`parse`] turns objects into values; [`controller`] and
//! [`speaker`] assemble the view of each process and write what it decided, [`configuration_state`] its verdict
//! on the configuration; [`events`] tells
//! people at the object; [`lease`] elects the leading controller; [`liveness_key`] makes the
//! key of the speakers; [`webhook`] keeps
//! what the optional webhook needs of the API server.

mod bgp;
pub mod client;
pub mod coexistence;
pub mod config;
pub mod configuration_state;
pub mod controller;
pub mod errors;
pub mod events;
pub mod lease;
pub mod liveness_key;
pub mod parse;
pub mod services;
pub mod speaker;
pub mod watches;
pub mod webhook;

pub use configuration_state::{Component, ConfigurationStateWriter};
pub use events::{EventQueue, EventWriter, Notice, WRITE_DELAY};
pub use services::Services;
pub use watches::{Dirty, Watches};
