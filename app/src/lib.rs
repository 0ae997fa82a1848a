//! FerroLB's processes: what runs in `ferrolb controller` and `ferrolb speaker`.
//!
//! What is absent: decisions about addresses ([`ferrolb_ipam`]) and announcements
//! ([`ferrolb_plan`]), and IO (the `shell/` crates). What is here is the one loop of each
//! process that turns events into a snapshot, a snapshot into decisions, and decisions into
//! actions.
//!
//! # Layout
//! [`cli`] and [`config`] are what the operator types; [`controller`] gives addresses;
//! [`speaker`] announces them; [`process`] is what both need to live: client, signals, admin
//! endpoint. [`what_if`] tries a change out on a copy. [`bgp_command`] and [`dump`] look into the
//! speaker that runs on a node.

pub mod bgp_command;
pub mod cli;
pub mod config;
mod configuration;
pub mod controller;
pub mod dump;
pub mod migrate;
pub mod process;
pub mod speaker;
pub mod what_if;
