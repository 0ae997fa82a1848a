//! Decides what this node does: cluster snapshot in, announcements and their reasons out.
//!
//! What is absent: watching the cluster, sending packets, a clock, memory. What a node owns
//! comes in with the snapshot and goes out with the plan; the same cluster gives the same owner
//! on every node that knows the same.
//!
//! # Layout
//! [`snapshot`] is the input; [`advertisement`] finds which advertisements cover a
//! Service; `unit` finds which addresses go together; [`election`] orders the candidate
//! nodes; [`ownership`] says who owns a unit, and who takes or gives it up; `watchers` says who
//! has to know at once when this node dies; [`interfaces`] says
//! which links may carry an announcement; [`plan()`] puts them together into [`Verdict`]s; [`diff()`] turns
//! two plans into [`Action`]s for the drivers. [`bgp`] is the same for BGP, which elects nobody.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod advertisement;
pub mod bgp;
pub mod coverage;
pub mod diff;
pub mod election;
pub mod interfaces;
pub mod ownership;
pub mod plan;
pub mod snapshot;
mod standby;
mod unit;
pub mod verdict;
mod watchers;

pub use bgp::{BfdProfile, BgpAdvertisement, BgpPeer, Peering};
pub use coverage::{Coverage, coverage};
pub use diff::{Action, Announcements, diff};
pub use interfaces::Exclusions;
pub use ownership::{Holding, Overruled, Ownership};
pub use plan::{Plan, owners, plan};
pub use snapshot::{
    Advertisements, L2Advertisement, Node, NodePreference, Pool, Service, ServingEndpoints, Snapshot,
    TrafficPolicy,
};
pub use verdict::{Announcement, Verdict, Withheld};
pub use watchers::WATCHERS_PER_ADDRESS;

#[cfg(test)]
mod tests;
