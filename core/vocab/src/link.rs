//! What a node can see of its own network interfaces.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::mac::MacAddr;
use crate::names::InterfaceName;
use crate::prefix::IpPrefix;

/// One network interface of this host, as netlink reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The kernel's index, unique among the host's interfaces.
    pub index: u32,
    /// The interface's name.
    pub name: InterfaceName,
    /// The link-layer address; `None` on interfaces without a 48-bit one.
    pub mac: Option<MacAddr>,
    /// Which properties hold now.
    pub flags: BTreeSet<LinkFlag>,
    /// The interface's own addresses, each with its on-link prefix.
    pub addresses: Vec<LinkAddress>,
}

/// A property of a link that decides whether addresses can be announced on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkFlag {
    /// Administratively up (`IFF_UP`).
    Up,
    /// Has carrier (`IFF_LOWER_UP`).
    Carrier,
    /// Can broadcast, so ARP works (`IFF_BROADCAST`).
    Broadcast,
    /// ARP is switched off (`IFF_NOARP`).
    NoArp,
    /// The loopback interface (`IFF_LOOPBACK`).
    Loopback,
    /// Port of a bridge, member of a bond or VRF: another interface speaks for it (`IFLA_MASTER`).
    Enslaved,
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkAddress {
    /// The address itself.
    pub address: IpAddr,
    /// The prefix that is on-link through it.
    pub prefix: IpPrefix,
}

impl Link {
    /// Whether `flag` holds.
    #[must_use]
    pub fn is(&self, flag: LinkFlag) -> bool {
        self.flags.contains(&flag)
    }
}
