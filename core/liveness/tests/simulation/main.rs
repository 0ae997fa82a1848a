//! Whole meshes in virtual time: loss, delay, reordering, crash, kill, pause, leave, restart.
//!
//! Everything follows from the seed; a failing assertion prints it.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "the harness of tests is a test")]

mod claims;
mod life;
mod network;
mod standstill;
