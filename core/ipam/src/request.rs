//! What a Service asks for.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use ferrolb_vocab::{IpFamily, Labels, PoolName};

/// Everything about a Service of type `LoadBalancer` that decides its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceRequest {
    /// The Service's labels, which pools may select.
    pub labels: Labels,
    /// The families of its cluster IPs.
    pub families: Families,
    /// `spec.ipFamilyPolicy`.
    pub policy: FamilyPolicy,
    /// What its annotations and `spec.loadBalancerIP` ask for.
    pub wanted: Wanted,
    /// On what terms it shares an address.
    pub terms: Arc<Terms>,
    /// Our addresses in `status.loadBalancer.ingress`, in order.
    pub recorded: Vec<IpAddr>,
    /// Creation time in seconds since the Unix epoch: who came first is served first.
    pub created: u64,
}

impl ServiceRequest {
    /// A Service of `families` that asks for nothing in particular, has no ports and no address yet.
    #[must_use]
    pub fn new(families: Families) -> Self {
        Self {
            labels: Labels::default(),
            families,
            policy: FamilyPolicy::SingleStack,
            wanted: Wanted::Any,
            terms: Arc::default(),
            recorded: Vec::new(),
            created: 0,
        }
    }
}

/// The families of a Service's cluster IPs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Families {
    /// It has no cluster IP (yet).
    None,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
    /// Both.
    Dual {
        /// The family of `spec.ipFamilies[0]`, which a `PreferDualStack` Service gets when it can get only one.
        primary: IpFamily,
    },
}

impl Families {
    /// The families of `cluster_ips`, whose order is that of `spec.ipFamilies`.
    #[must_use]
    pub fn of(cluster_ips: &[IpAddr]) -> Self {
        let Some(primary) = cluster_ips.first().map(|first| IpFamily::of(*first)) else { return Self::None };
        if cluster_ips.iter().any(|address| IpFamily::of(*address) != primary) {
            return Self::Dual { primary };
        }
        match primary {
            IpFamily::V4 => Self::V4,
            IpFamily::V6 => Self::V6,
        }
    }

    /// One after the other, IPv4 first.
    pub(crate) const fn each(self) -> &'static [IpFamily] {
        match self {
            Self::None => &[],
            Self::V4 => &[IpFamily::V4],
            Self::V6 => &[IpFamily::V6],
            Self::Dual { .. } => &[IpFamily::V4, IpFamily::V6],
        }
    }

    /// Whether `addresses` are exactly one of each family.
    pub(crate) fn equal(self, addresses: &[IpAddr]) -> bool {
        match (self, addresses) {
            (Self::V4, [one]) => one.is_ipv4(),
            (Self::V6, [one]) => one.is_ipv6(),
            (Self::Dual { .. }, [one, other]) => IpFamily::of(*one) != IpFamily::of(*other),
            (Self::None | Self::V4 | Self::V6 | Self::Dual { .. }, _) => false,
        }
    }
}

/// The one family that `family` is not.
pub(crate) const fn other(family: IpFamily) -> IpFamily {
    match family {
        IpFamily::V4 => IpFamily::V6,
        IpFamily::V6 => IpFamily::V4,
    }
}

impl fmt::Display for Families {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "no family",
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
            Self::Dual { .. } => "IPv4 and IPv6",
        })
    }
}

/// `spec.ipFamilyPolicy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FamilyPolicy {
    /// One family.
    SingleStack,
    /// Both families where possible.
    PreferDualStack,
    /// Both families or nothing.
    RequireDualStack,
}

/// Which addresses a Service asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Any address of any pool that serves it by itself.
    Any,
    /// Any address of this pool (`metallb.io/address-pool`).
    Pool(PoolName),
    /// These addresses (`metallb.io/loadBalancerIPs`, `spec.loadBalancerIP`).
    Addresses {
        /// The addresses, in the order they are to be recorded.
        addresses: Vec<IpAddr>,
        /// The pool they must come from (`metallb.io/address-pool`).
        pool: Option<PoolName>,
    },
    /// The addresses of these claims of its namespace (`ferrolb.io/address-claim`).
    Claims(Vec<String>),
    /// What it asks for cannot be read. It keeps what it has, and gets nothing.
    Unreadable {
        /// What is wrong with which annotation or field.
        why: String,
    },
}

/// On what terms a Service uses an address: two that agree may use the same one
/// (docs/reference/metallb-contract.md, "Assign and sharing rules").
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Terms {
    /// The sharing key; `None` does not share.
    pub sharing: Option<SharingKey>,
    /// Which Pods it sends traffic to, as far as nodes that hold none of them matter.
    pub backend: BackendKey,
    /// The ports it listens on.
    pub ports: BTreeSet<Port>,
}

/// The value of `metallb.io/allow-shared-ip`, never empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SharingKey(String);

impl SharingKey {
    /// The key `text`; an empty one does not share.
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        (!text.is_empty()).then_some(Self(text))
    }
}

impl fmt::Display for SharingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The selector of a Service with `externalTrafficPolicy: Local` as text, empty for all others: Services that
/// share an address must agree on the nodes that may announce it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct BackendKey(String);

impl BackendKey {
    /// The key of a Service with `externalTrafficPolicy: Local` and this `spec.selector`.
    #[must_use]
    pub fn local(selector: &Labels) -> Self {
        let pairs: Vec<String> =
            selector.iter().map(|(label, value)| alloc::format!("{label}={value}")).collect();
        Self(pairs.join(","))
    }
}

/// A port of an address, as far as two Services can collide on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    /// The transport protocol; TCP/53 and UDP/53 do not collide.
    pub protocol: Protocol,
    /// The port number.
    pub port: u16,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.protocol, self.port)
    }
}

/// `spec.ports[].protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        })
    }
}
