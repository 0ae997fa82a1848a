//! Two peers over TCP in virtual time: delay, splits, cuts, lost connections, collisions, restarts.
//!
//! Everything follows from the seed; a failing assertion prints it. On every step: one session at
//! most, no UPDATE without one, and always something to wait for.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "the harness of tests is a test")]

mod faults;
mod host;
mod life;
mod network;
