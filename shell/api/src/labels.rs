//! Labels that FerroLB reads and writes.

/// On a Node: keep this node out of load balancing. Presence counts, whatever the value.
pub const EXCLUDE_FROM_LOAD_BALANCERS: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// On `ServiceL2Status`, `ServiceBGPStatus` and `BGPSession`: the node the object is about.
pub const NODE: &str = "metallb.io/node";
/// On `ServiceL2Status` and `ServiceBGPStatus`: the name of the Service.
pub const SERVICE_NAME: &str = "metallb.io/service-name";
/// On `ServiceL2Status` and `ServiceBGPStatus`: the namespace of the Service.
pub const SERVICE_NAMESPACE: &str = "metallb.io/service-namespace";

/// On `ConfigurationState`: [`COMPONENT_CONTROLLER`] or [`COMPONENT_SPEAKER`].
pub const COMPONENT_TYPE: &str = "metallb.io/component-type";
/// On a speaker's `ConfigurationState`: its node.
pub const NODE_NAME: &str = "metallb.io/node-name";
/// Value of [`COMPONENT_TYPE`] for the controller.
pub const COMPONENT_CONTROLLER: &str = "controller";
/// Value of [`COMPONENT_TYPE`] for a speaker.
pub const COMPONENT_SPEAKER: &str = "speaker";
/// Key of a taint on a Node (any effect), or of an annotation with the value `"true"`: the node's
/// speaker gives up what it announces as soon as another node has it.
pub const DRAIN: &str = "ferrolb.io/drain";
