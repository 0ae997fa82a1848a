//! The host's network interfaces: what they are, and the frames that announce addresses on them.
//!
//! What is absent: the choice of addresses and interfaces (`core/plan`), and what to answer
//! and when (`core/l2`). This crate opens sockets, reads, writes, and says what failed. Only
//! `CAP_NET_RAW` is needed.
//!
//! # Layout
//! [`links`] follows the host's interfaces over netlink, [`gateways`] whether the default gateways
//! answer, [`routers`] who is behind an interface. [`driver`] owns an
//! [`Announcer`](ferrolb_l2::Announcer), its sockets and its timer; [`metrics`] is what it
//! counts.

pub mod driver;
pub mod gateways;
pub mod links;
pub mod metrics;
mod multicast;
mod packet;
pub mod routers;

pub use driver::{DriverGone, L2Driver, L2Handle, L2Status};
pub use links::{FollowError, follow};
pub use metrics::L2Metrics;
pub use routers::Routers;
