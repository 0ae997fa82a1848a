//! The sockets and threads of what speakers say to other hosts.
//!
//! What is absent: policy, and every protocol decision: those are made in the cores, which
//! this crate feeds with packets and time. BGP and BFD are not here yet.
//!
//! # Layout
//! [`handover`] lets a speaker follow another on its node. [`liveness`] drives [`ferrolb_liveness::Mesh`] on a thread of its own: `spawn` gives a handle
//! to say what is wanted, a view to read who is alive, and events to log.

pub mod handover;
pub mod liveness;

pub use liveness::{
    Liveness, LivenessConfig, LivenessHandle, LivenessMetrics, LivenessView, RealtimeError, SpawnError,
};
