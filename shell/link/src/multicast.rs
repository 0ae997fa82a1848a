//! Membership in solicited-node groups: without it neither the network card nor a switch that
//! snoops MLD passes solicitations on.

use std::collections::BTreeSet;
use std::io;
use std::net::Ipv6Addr;

use ferrolb_vocab::InterfaceName;
use socket2::{Domain, Protocol, Socket, Type};
use tracing::debug;

/// The groups that an interface is a member of on our behalf. Dropping it leaves them all.
#[derive(Debug)]
pub(crate) struct Memberships {
    interface: InterfaceName,
    index: u32,
    shards: Vec<Shard>,
}

/// A socket that only holds memberships; it is bound to nothing and receives nothing.
#[derive(Debug)]
struct Shard {
    socket: Socket,
    groups: BTreeSet<Ipv6Addr>,
}

/// A group cannot be joined.
#[derive(Debug, thiserror::Error)]
#[error("joining {group} on {interface}")]
pub(crate) struct JoinError {
    group: Ipv6Addr,
    interface: InterfaceName,
    #[source]
    source: io::Error,
}

impl Memberships {
    pub(crate) const fn new(interface: InterfaceName, index: u32) -> Self {
        Self { interface, index, shards: Vec::new() }
    }

    /// Joins and leaves until exactly `wanted` are joined.
    pub(crate) fn set(&mut self, wanted: &BTreeSet<Ipv6Addr>) -> Result<(), JoinError> {
        for Shard { socket, groups } in &mut self.shards {
            for group in groups.extract_if(.., |group| !wanted.contains(group)) {
                if let Err(error) = socket.leave_multicast_v6(&group, self.index) {
                    // The interface has gone and taken its memberships with it.
                    debug!(interface = %self.interface, ip = %group, %error, "group not left");
                }
            }
        }
        self.shards.retain(|shard| !shard.groups.is_empty());
        let joined: BTreeSet<_> = self.shards.iter().flat_map(|shard| &shard.groups).copied().collect();
        for group in wanted.difference(&joined) {
            self.join(*group).map_err(|source| JoinError {
                group: *group,
                interface: self.interface.clone(),
                source,
            })?;
        }
        Ok(())
    }

    fn join(&mut self, group: Ipv6Addr) -> io::Result<()> {
        let has_room = |shard: &&mut Shard| shard.groups.len() < GROUPS_PER_SOCKET;
        if let Some(shard) = self.shards.iter_mut().find(has_room) {
            shard.socket.join_multicast_v6(&group, self.index)?;
            shard.groups.insert(group);
            return Ok(());
        }
        let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
        socket.join_multicast_v6(&group, self.index)?;
        self.shards.push(Shard { socket, groups: [group].into() });
        Ok(())
    }
}

/// A socket's memberships count against `net.core.optmem_max`, 20 KiB on older kernels, at
/// some 50 octets each.
const GROUPS_PER_SOCKET: usize = 200;
