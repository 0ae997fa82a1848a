//! Decides what this node does: cluster snapshot in, announcements and their reasons out.
//!
//! What is absent: watching the cluster, sending packets, a clock, memory. The same
//! snapshot gives the same plan on every node, which is how nodes agree on one owner
//! without talking about it.
//!
//! # Layout
//! [`snapshot`] is the input; [`advertisement`] finds which advertisements cover a
//! Service; [`election`] orders the candidate nodes; [`interfaces`] says which links may
//! carry an announcement; [`plan()`] puts them together into [`Verdict`]s; [`diff()`] turns
//! two plans into [`Action`]s for the drivers.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod advertisement;
pub mod coverage;
pub mod diff;
pub mod election;
pub mod interfaces;
pub mod plan;
pub mod snapshot;
pub mod verdict;

pub use coverage::{Coverage, coverage};
pub use diff::{Action, Announcements, diff};
pub use interfaces::Exclusions;
pub use plan::{Plan, plan};
pub use snapshot::{
    Advertisements, L2Advertisement, Node, NodePreference, Pool, Service, ServingEndpoints, Snapshot,
    TrafficPolicy,
};
pub use verdict::{Announcement, Verdict, Withheld};

#[cfg(test)]
mod tests;
