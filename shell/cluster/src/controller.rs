//! What the controller sees, and what it writes.

pub mod claims;
pub mod objects;
pub mod view;
pub mod writes;

pub use claims::{Claim, ClaimStatus, ClaimWriter};
pub use objects::{ControllerObjects, ListError, list_announcers, list_endpoint_slices};
pub use view::{ConfigObject, ControllerView, ControllerWatches, Sessions};
pub use writes::{Condition, ServiceStatus, StatusWriter, is_said};
