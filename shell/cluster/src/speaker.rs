//! What a speaker sees, and what it writes.

pub mod view;
pub mod writes;

pub use view::{SpeakerView, SpeakerWatches};
pub use writes::{Report, Reporter};
