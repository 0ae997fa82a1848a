//! What monitoring stations are told of peers: RFC 7854, with the Adj-RIB-Out of RFC 8671.
//!
//! [`Monitored`] is a peer at one moment, as its driver sees it; [`Station`] is one connection to a
//! station. What the station is to be told is the difference between what it was told and what is so,
//! taken when the connection can take it: nothing is queued, so nothing is dropped and nobody waits for
//! a station. One that reads slowly hears less often, and what has changed back meanwhile not at all
//! (the state compression of RFC 7854 §5).
//!
//! ```text
//! Peer -- Monitored (latest wins) --> Station -- what is new, once the last is written --> station
//! ```
//!
//! # The driver
//! It has a [`Station`] for each connection, from when TCP has opened it. After each call it writes
//! what [`Station::poll_transmit`] yields, all of it before it asks again, until there is nothing; then
//! it sleeps until there are other peers or [`Station::poll_timeout`].
//!
//! What is absent: what peers tell (Adj-RIB-In), of which nothing is kept, Route Mirroring, a Loc-RIB.

mod monitored;
mod station;

pub use monitored::{Monitored, MonitoredPeers};
pub use station::{Identity, STATISTICS_INTERVAL, Station};

#[cfg(test)]
mod tests;
