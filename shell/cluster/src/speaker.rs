//! What a speaker sees, and what it writes.

pub mod view;
pub mod writes;

pub use view::{Known, SpeakerView, SpeakerWatches};
pub use writes::{AnnouncedService, Report, Reporter};
