//! The Kubernetes API of FerroLB as Rust types: MetalLB's kinds, our own, and every name that
//! both the objects and the components must spell alike.
//!
//! What is absent: IO, a client, policy. A type here says *what was written*; what it means is
//! parsed by `shell/cluster` into the values of `core/`. Anything that the API server lets through
//! must deserialize, so addresses, durations and communities stay text at this level.
//! The contract behind each kind is `docs/reference/metallb-contract.md`.
//!
//! # Layout
//! One module per kind: [`ip_address_pool`], [`l2_advertisement`], [`bgp_advertisement`],
//! [`bgp_peer`], [`community`] and [`bfd_profile`] are configuration; [`service_l2_status`],
//! [`service_bgp_status`] and [`configuration_state`] are what FerroLB reports in MetalLB's group,
//! and [`node_state`], [`bgp_session`] and [`address_claim`] are our own. [`mod@crds`] collects the CustomResourceDefinitions. The names are in
//! [`annotations`], [`labels`], [`conditions`] and [`events`]; [`selector`] parses label selectors.
//!
//! # Objects without `spec`
//! MetalLB requires `spec` of pools only, and an advertisement without one selects everything. `kube`'s
//! derive always requires it and allows no `serde` attribute on the type it generates, so those kinds
//! carry `attr = "cfg_attr(true, serde(default))"`, which the compiler turns into one.

#![expect(unreachable_pub, reason = "KubeSchema copies each struct, `pub` included, into a function")]
#![expect(clippy::duplicated_attributes, reason = "each printer column names its type and path")]

pub mod address_claim;
pub mod annotations;
pub mod bfd_profile;
pub mod bgp_advertisement;
pub mod bgp_peer;
pub mod bgp_session;
pub mod community;
pub mod conditions;
pub mod configuration_state;
pub mod crds;
pub mod events;
pub mod ip_address_pool;
pub mod l2_advertisement;
pub mod labels;
pub mod node_state;
mod schema;
pub mod selector;
pub mod service_bgp_status;
pub mod service_l2_status;

pub use address_claim::AddressClaim;
pub use bfd_profile::BfdProfile;
pub use bgp_advertisement::BgpAdvertisement;
pub use bgp_peer::BgpPeer;
pub use bgp_session::BgpSession;
pub use community::Community;
pub use configuration_state::ConfigurationState;
pub use crds::{converted_bgp_peer, crds, crds_yaml};
pub use ip_address_pool::IpAddressPool;
pub use l2_advertisement::L2Advertisement;
pub use node_state::NodeState;
pub use selector::{ParseSelectorError, parse_selector};
pub use service_bgp_status::ServiceBgpStatus;
pub use service_l2_status::ServiceL2Status;

/// The namespace FerroLB is installed in unless told otherwise; our status objects live in it.
pub const FERROLB_NAMESPACE: &str = "ferrolb-system";
/// MetalLB's namespace, whose configuration objects are read as well.
pub const METALLB_NAMESPACE: &str = "metallb-system";
/// Source of the controller's Events, and its field manager.
pub const CONTROLLER: &str = "ferrolb-controller";
/// Source of the speakers' Events, and their field manager.
pub const SPEAKER: &str = "ferrolb-speaker";
/// The Lease, in FerroLB's namespace, whose holder is the controller that acts.
pub const LEADER_LEASE: &str = "ferrolb-controller";
