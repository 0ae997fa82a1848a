//! Reasons of the Events that MetalLB has, which keep MetalLB's spelling; what only FerroLB tells
//! takes its reason from the decision behind it.

/// Whether an Event is news or a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    /// News.
    Normal,
    /// A problem.
    Warning,
}

impl EventType {
    /// The type as written in the Event.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// Why an Event is sent. docs/reference/metallb-contract.md, "Events".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventReason {
    /// Controller: the Service has addresses.
    IpAllocated,
    /// Controller: no address could be allocated.
    AllocationFailed,
    /// Controller: the Service loses the addresses it had, and asks for others.
    ClearAssignment,
    /// Controller: the addresses that the Service requests do not parse.
    LoadBalancerFailed,
    /// Controller: a second address, wished by `PreferDualStack`, could not be added.
    AdditionalAssignFailed,
    /// Controller: an annotation has its old prefix.
    DeprecatedAnnotation,
    /// Controller: `RequireDualStack` with one cluster address only.
    NotEnoughClusterIps,
    /// Controller: an `AddressClaim` has its address.
    AddressReserved,
    /// Controller: an `AddressClaim` has no address (any more).
    AddressNotReserved,
    /// Controller: another host has an address of the Service.
    AddressConflict,
    /// Controller: a configuration object is not in use as it is written.
    ConfigurationError,
    /// Speaker: this node announces the Service.
    NodeAssigned,
    /// Speaker: this node owns the address but has none of the interfaces asked for.
    AnnounceFailed,
}

impl EventReason {
    /// The reason as written in the Event, blanks included.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IpAllocated => "IPAllocated",
            Self::AllocationFailed => "AllocationFailed",
            Self::ClearAssignment => "ClearAssignment",
            Self::LoadBalancerFailed => "LoadBalancerFailed",
            Self::AdditionalAssignFailed => "AdditionalAssignFailed",
            Self::DeprecatedAnnotation => "deprecatedAnnotation",
            Self::NotEnoughClusterIps => "not enough clusterips",
            Self::AddressReserved => "AddressReserved",
            Self::AddressNotReserved => "AddressNotReserved",
            Self::AddressConflict => "AddressConflict",
            Self::ConfigurationError => "ConfigurationError",
            Self::NodeAssigned => "nodeAssigned",
            Self::AnnounceFailed => "announceFailed",
        }
    }

    /// The type that goes with the reason.
    #[must_use]
    pub const fn event_type(self) -> EventType {
        match self {
            Self::IpAllocated
            | Self::ClearAssignment
            | Self::AdditionalAssignFailed
            | Self::AddressReserved
            | Self::NodeAssigned => EventType::Normal,
            Self::AllocationFailed
            | Self::LoadBalancerFailed
            | Self::DeprecatedAnnotation
            | Self::NotEnoughClusterIps
            | Self::AddressNotReserved
            | Self::AddressConflict
            | Self::ConfigurationError
            | Self::AnnounceFailed => EventType::Warning,
        }
    }
}
