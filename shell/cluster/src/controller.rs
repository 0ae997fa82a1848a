//! What the controller sees, and what it writes.

pub mod claims;
pub mod configuration_state;
pub mod objects;
pub mod view;
pub mod writes;

pub use claims::{Claim, ClaimStatus, ClaimWriter};
pub use configuration_state::ConfigurationStateWriter;
pub use objects::{ControllerObjects, ListError, list_announcers, list_endpoint_slices};
pub use view::{ConfigObject, ControllerView, ControllerWatches};
pub use writes::{Condition, ServiceStatus, StatusWriter, is_said};
