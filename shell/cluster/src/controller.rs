//! What the controller sees, and what it writes.

pub mod view;
pub mod writes;

pub use view::{ConfigObject, ControllerView, ControllerWatches};
pub use writes::{Condition, ServiceStatus, StatusWriter};
