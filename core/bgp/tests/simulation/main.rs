//! Two peers over TCP in virtual time: delay, splits, cuts, lost connections, collisions, restarts.
//!
//! Everything follows from the seed; a failing assertion prints it. On every step: one session at
//! most, no UPDATE without one, and always something to wait for.
//!
//! [`session_fsm`], [`session_pair`], [`rib_out`] and [`resumption`] are fuzz targets, whose inputs are
//! what happens: a short run with every `cargo test`, a long one with `cargo xtask fuzz`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "the harness of tests is a test"
)]

mod choices;
#[path = "../../../wire/tests/fuzz/driver.rs"]
mod driver;
mod fairness;
mod faults;
mod handover;
mod helper;
mod host;
mod life;
mod network;
mod restart;
mod resumption;
mod rib_out;
mod session_fsm;
mod session_pair;
