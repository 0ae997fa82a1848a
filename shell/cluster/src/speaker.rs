//! What a speaker sees, and what it writes.

pub mod peering;
mod planned;
mod statuses;
pub mod view;
pub mod writes;

pub use peering::NodePeering;
pub use view::{Known, SpeakerView, SpeakerWatches};
pub use writes::{AnnouncedService, Report, Reporter, pod_owner};
