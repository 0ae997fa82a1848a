//! MetalLB's configuration kinds, and how one object is named.

use std::fmt;

use kube::core::{ApiResource, GroupVersionKind};

/// The group of all of them.
pub(super) const GROUP: &str = "metallb.io";

/// The kind that MetalLB had before `IPAddressPool`, with the protocol in it.
pub(super) const FORMER_POOL: &str = "AddressPool";

/// A kind of configuration object, in the order in which MetalLB's converter writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    BgpPeer,
    IpAddressPool,
    BgpAdvertisement,
    L2Advertisement,
    BfdProfile,
    Community,
}

impl Kind {
    pub(super) const ALL: [Self; 6] = [
        Self::BgpPeer,
        Self::IpAddressPool,
        Self::BgpAdvertisement,
        Self::L2Advertisement,
        Self::BfdProfile,
        Self::Community,
    ];

    /// The kind as written in objects.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::BgpPeer => "BGPPeer",
            Self::IpAddressPool => "IPAddressPool",
            Self::BgpAdvertisement => "BGPAdvertisement",
            Self::L2Advertisement => "L2Advertisement",
            Self::BfdProfile => "BFDProfile",
            Self::Community => "Community",
        }
    }

    /// The resource of the API server.
    pub(super) const fn plural(self) -> &'static str {
        match self {
            Self::BgpPeer => "bgppeers",
            Self::IpAddressPool => "ipaddresspools",
            Self::BgpAdvertisement => "bgpadvertisements",
            Self::L2Advertisement => "l2advertisements",
            Self::BfdProfile => "bfdprofiles",
            Self::Community => "communities",
        }
    }

    /// The version that is stored and that FerroLB reads.
    pub(super) const fn version(self) -> &'static str {
        match self {
            Self::BgpPeer => "v1beta2",
            Self::IpAddressPool
            | Self::BgpAdvertisement
            | Self::L2Advertisement
            | Self::BfdProfile
            | Self::Community => "v1beta1",
        }
    }

    /// The name of its definition.
    pub(super) fn definition(self) -> String {
        format!("{}.{GROUP}", self.plural())
    }

    /// How to reach its objects at `version`.
    pub(super) fn resource(self, version: &str) -> ApiResource {
        ApiResource::from_gvk_with_plural(
            &GroupVersionKind::gvk(GROUP, version, self.as_str()),
            self.plural(),
        )
    }
}

/// One object: its kind, namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ObjectKey {
    pub(super) kind: Kind,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl ObjectKey {
    /// The same object in `namespace`, or where it is.
    pub(super) fn moved(&self, namespace: Option<&str>) -> Self {
        let namespace = namespace.unwrap_or(&self.namespace).to_owned();
        Self { namespace, ..self.clone() }
    }

    /// How `kubectl` names it.
    pub(super) fn resource(&self) -> String {
        format!("{} {}/{}", self.kind.definition(), self.namespace, self.name)
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind.as_str(), self.namespace, self.name)
    }
}
