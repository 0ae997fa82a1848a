//! Two engines over a link in virtual time: loss, delay, reordering, cuts, restarts, pauses.
//!
//! Everything follows from the seed; a failing assertion prints it.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "the harness of tests is a test")]

mod authenticated;
mod changes;
mod echoing;
mod life;
mod link;
