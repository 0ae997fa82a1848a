//! Two engines over a link in virtual time: loss, delay, reordering, cuts, restarts, pauses.
//!
//! Everything follows from the seed; a failing assertion prints it.
//!
//! [`bfd_pair`] is a fuzz target, whose inputs are what happens: a short run with every `cargo test`, a
//! long one with `cargo xtask fuzz`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "the harness of tests is a test"
)]

mod authenticated;
mod bfd_pair;
mod changes;
#[path = "../../../bgp/tests/simulation/choices.rs"]
mod choices;
#[path = "../../../wire/tests/fuzz/driver.rs"]
mod driver;
mod echoing;
mod life;
mod link;
mod replaced;
