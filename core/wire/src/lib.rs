//! Octets to values and back, for every protocol FerroLB speaks itself.
//!
//! What is absent: state, time, decisions, IO. A parser is total: any octets give a value
//! or a reason to drop them, never a panic. What can be constructed can be emitted, and
//! parses back to itself.
//!
//! # Layout
//! [`cursor`] alone takes octets apart; everything else is built on it. [`ethernet`] carries
//! [`arp`] and, in [`ipv6`], [`ndp`]. [`mesh`] is the speakers' liveness protocol, [`bfd`] what
//! they and routers tell each other of a path, [`bgp`] what they tell each other of routes, [`bmp`] what
//! a monitoring station is told of that.
#![no_std]
#![deny(clippy::indexing_slicing)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod arp;
pub mod bfd;
pub mod bgp;
pub mod bmp;
pub mod cursor;
pub mod ethernet;
pub mod ipv6;
pub mod mesh;
pub mod ndp;
