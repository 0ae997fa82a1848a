//! FerroLB's BGP and BFD against the daemons of others, each pair in network namespaces of its own.
//!
//! Two programs: `ferrolb-peer` is the drivers of `shell/peering` and nothing else, told what to do line
//! by line; `ferrolb-interop` plays every [`Feature`] with every router that it is given, and prints an
//! [`Outcome`] for each. `cargo xtask interop` runs it and makes a table of it.
//!
//! What counts is what the router itself says: its table, its view of the session, its log. Every wait
//! is for a condition, with a deadline, and what was looked at last is told when it does not come.
//!
//! # Layout
//! - what happens: [`features`], which are played by a [`pair`] of speaker and router
//! - who plays: [`speaker`] (ours, told a [`description`]), [`routers`] (theirs)
//! - where: [`stage`] (namespaces, cable, files), [`wait`] (conditions and deadlines)

#![expect(clippy::indexing_slicing, reason = "a serde_json::Value answers null where there is nothing")]

pub mod description;
pub mod features;
pub mod pair;
pub mod routers;
pub mod speaker;
pub mod stage;
pub mod wait;

pub use description::{BfdTiming, BfdView, Command, Description, RouteDescription, View};
pub use features::{FEATURES, Feature, Outcome};
pub use pair::{Pair, Terms, Transport};
pub use routers::{Kind, Need, RouteSeen, Router};
pub use speaker::Speaker;
pub use stage::{Host, Stage};
