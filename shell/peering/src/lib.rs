//! The sockets and threads of what speakers say to other hosts.
//!
//! What is absent: policy, and every protocol decision: those are made in the cores, which
//! this crate feeds with packets and time.
//!
//! # Layout
//! [`handover`] lets a speaker follow another on its node. [`liveness`] drives
//! [`ferrolb_liveness::Mesh`], [`bfd`] drives [`ferrolb_bfd::Engine`] and [`bgp`] drives
//! [`ferrolb_bgp::Peer`]s, each on a thread of its own: `spawn` gives a handle to say what is wanted,
//! a view to read what is so, and events. [`bmp`] drives [`ferrolb_bgp::Station`]s, which tell others of
//! the peers. [`recording`] is what has happened last, and [`inspection`] where somebody on the node asks for
//! that and more.

pub mod bfd;
pub mod bgp;
pub mod bmp;
pub mod handover;
pub mod inspection;
pub mod liveness;
pub mod recording;

mod abstract_socket;
mod realtime;
mod wake;

pub use bfd::{Bfd, BfdConfig, BfdHandle, BfdMetrics, BfdView};
pub use bgp::{Bgp, BgpHandle, BgpInspector, BgpMetrics, BgpView};
pub use bmp::{BmpConfig, BmpMetrics};
pub use liveness::{Liveness, LivenessConfig, LivenessHandle, LivenessMetrics, LivenessView, SpawnError};
pub use realtime::RealtimeError;
