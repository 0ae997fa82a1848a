//! Whatever a peer sends, and what other codecs make of it.
//!
//! Each target is a module with one test that gets its inputs from [`driver`]: a short run with every
//! `cargo test`, a long one with `cargo xtask fuzz`. [`oracles`] are codecs of others, which nothing
//! but these tests depends on.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "the harness of tests is a test"
)]

mod bfd_decode;
mod bmp_encode;
#[path = "../../../bgp/tests/simulation/choices.rs"]
mod choices;
mod communities;
mod decode_any;
mod decode_notification;
mod decode_open;
mod driver;
mod inputs;
mod oracles;
mod ra_parse;
mod round_trip;
mod stream;
mod update_attrs;
