//! What `cargo xtask bench bgp` runs: BGP and BFD of one contender after the other, in network
//! namespaces, watched from the other end of the cable; and what a change of an object comes to, in a lab.
//!
//! Two programs: `ferrolb-bench-bgp` takes one step and prints a [`Sample`] for each figure that comes of
//! it; `ferrolb-bench-speaker` is the drivers of `shell/peering` and nothing else, with as many sessions
//! as it is told ([`Wanted`]).
//!
//! Nobody is believed about himself. Routes are counted and timed by one receiver for all, BFD by the
//! packets on the cable, processor and memory by what the kernel says of the contender's processes.
//!
//! # Layout
//! - what is measured: `steps`
//! - who is: `contenders`, each told what is [`wanted`](Wanted)
//! - where: `scene`
//! - by what: `receiver` (BGP), `capture` (BFD), `usage` (processor, memory)

mod capture;
mod contenders;
mod receiver;
mod scene;
mod steps;
mod usage;
mod wanted;

pub use contenders::Kind;
pub use steps::{Sample, Step};
pub use wanted::{BfdLink, Wanted};

/// The contender's AS number.
pub const CONTENDER_ASN: u32 = 64_512;
/// That of the other side.
pub const RECEIVER_ASN: u32 = 64_513;

/// How many packets may be missed: Detect Mult of all BFD sessions.
pub const DETECT_MULT: u8 = 3;
