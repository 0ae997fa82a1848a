//! The host's interfaces and their addresses, followed over netlink.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use ferrolb_telemetry::{RateLimit, chain, clock};
use ferrolb_vocab::{InterfaceName, IpPrefix, Link, LinkAddress, LinkFlag, MacAddr};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryStreamExt};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkLayerType, LinkMessage};
use rtnetlink::{MulticastGroup, new_multicast_connection};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::warn;

/// Why the host's interfaces cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// There is no netlink socket to be had.
    #[error("opening a netlink socket")]
    Open(#[source] io::Error),
    /// The kernel refuses the dump.
    #[error("listing links and addresses over netlink")]
    Dump(#[source] rtnetlink::Error),
    /// The dump did not end: its messages were lost.
    #[error("listing links and addresses over netlink took more than {DUMP_TIMEOUT:?}")]
    Timeout,
    /// The kernel closed the socket.
    #[error("the netlink socket closed")]
    Closed,
}

/// The host's interfaces as they are, and from then on whenever they change, ordered by index.
///
/// The runtime's threads must be in the network namespace that is meant. The task that follows ends
/// when all receivers are dropped; until then it survives every error, showing what it knew last.
///
/// # Errors
/// The first list cannot be had.
pub async fn follow() -> Result<watch::Receiver<Vec<Link>>, FollowError> {
    let mut session = Session::open()?;
    let (sender, receiver) = watch::channel(session.list().await?);
    tokio::spawn(run(session, sender));
    Ok(receiver)
}

async fn run(first: Session, sender: watch::Sender<Vec<Link>>) {
    let mut session = Some(first);
    let mut log = RateLimit::new(LOG_INTERVAL);
    while !sender.is_closed() {
        let published = match session.take() {
            Some(open) => publish(open, &sender).await,
            None => reopen(&sender).await,
        };
        match published {
            Ok(open) => session = Some(open),
            Err(error) => {
                if let Some(suppressed) = log.admit(clock::now()) {
                    warn!(error = %chain(&error), suppressed, "links are not followed; netlink is tried again");
                }
                sleep(RETRY).await;
            }
        }
    }
}

/// Waits for a change, publishes the list after it, and gives the session back.
async fn publish(mut session: Session, sender: &watch::Sender<Vec<Link>>) -> Result<Session, FollowError> {
    tokio::select! {
        changed = session.changed() => changed?,
        () = sender.closed() => return Ok(session),
    }
    publish_if_changed(sender, session.list().await?);
    // What changes meanwhile waits and costs one list.
    sleep(COALESCE).await;
    Ok(session)
}

async fn reopen(sender: &watch::Sender<Vec<Link>>) -> Result<Session, FollowError> {
    let mut session = Session::open()?;
    publish_if_changed(sender, session.list().await?);
    Ok(session)
}

fn publish_if_changed(sender: &watch::Sender<Vec<Link>>, links: Vec<Link>) {
    sender.send_if_modified(|published| {
        let changed = *published != links;
        *published = links;
        changed
    });
}

/// A netlink socket that lists and is told of changes.
struct Session {
    handle: rtnetlink::Handle,
    /// Unbounded by the library; emptied at each [`Session::changed`].
    notifications: BoxStream<'static, ()>,
    /// The library's task, which ends with the session.
    _connection: JoinSet<()>,
}

impl Session {
    fn open() -> Result<Self, FollowError> {
        let groups = [MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr];
        let (connection, handle, notifications) =
            new_multicast_connection(&groups).map_err(FollowError::Open)?;
        let mut tasks = JoinSet::new();
        tasks.spawn(connection);
        let notifications = notifications.map(drop).boxed();
        Ok(Self { handle, notifications, _connection: tasks })
    }

    /// Returns after a change. What the notifications say does not matter, nor that some were lost
    /// (the library reports an overrun as one more): the list that follows has it all.
    async fn changed(&mut self) -> Result<(), FollowError> {
        self.notifications.next().await.ok_or(FollowError::Closed)?;
        while let Some(next) = self.notifications.next().now_or_never() {
            next.ok_or(FollowError::Closed)?;
        }
        Ok(())
    }

    async fn list(&mut self) -> Result<Vec<Link>, FollowError> {
        let dump = async {
            let links: Vec<_> = self.handle.link().get().execute().try_collect().await?;
            let addresses: Vec<_> = self.handle.address().get().execute().try_collect().await?;
            Ok(parse(&links, &addresses))
        };
        timeout(DUMP_TIMEOUT, dump).await.map_err(|_elapsed| FollowError::Timeout)?.map_err(FollowError::Dump)
    }
}

fn parse(links: &[LinkMessage], addresses: &[AddressMessage]) -> Vec<Link> {
    let mut parsed: BTreeMap<u32, Link> =
        links.iter().filter_map(parse_link).map(|link| (link.index, link)).collect();
    for message in addresses {
        if let (Some(address), Some(link)) = (parse_address(message), parsed.get_mut(&message.header.index)) {
            link.addresses.push(address);
        }
    }
    for link in parsed.values_mut() {
        link.addresses.sort_unstable();
    }
    parsed.into_values().collect()
}

fn parse_link(message: &LinkMessage) -> Option<Link> {
    let mut name = None;
    let mut mac = None;
    let mut flags = parse_flags(message.header.flags);
    for attribute in &message.attributes {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the kernel tells far more than is needed")]
        match attribute {
            LinkAttribute::IfName(text) => name = Some(InterfaceName::from(text.as_str())),
            LinkAttribute::Address(octets) if message.header.link_layer_type == LinkLayerType::Ether => {
                mac = octets.as_slice().try_into().ok().map(MacAddr);
            }
            LinkAttribute::Controller(index) if *index != 0 => drop(flags.insert(LinkFlag::Enslaved)),
            _ => {}
        }
    }
    Some(Link { index: message.header.index, name: name?, mac, flags, addresses: Vec::new() })
}

fn parse_flags(flags: LinkFlags) -> BTreeSet<LinkFlag> {
    [
        (LinkFlags::Up, LinkFlag::Up),
        (LinkFlags::LowerUp, LinkFlag::Carrier),
        (LinkFlags::Broadcast, LinkFlag::Broadcast),
        (LinkFlags::Noarp, LinkFlag::NoArp),
        (LinkFlags::Loopback, LinkFlag::Loopback),
    ]
    .into_iter()
    .filter_map(|(bit, flag)| flags.contains(bit).then_some(flag))
    .collect()
}

/// An address that the interface really has: while Duplicate Address Detection runs, or after it
/// has failed, it is not assigned (RFC 4862 §5.4) and nothing may be sent from it.
fn parse_address(message: &AddressMessage) -> Option<LinkAddress> {
    let mut own = None;
    let mut on_link = None;
    let mut flags = AddressFlags::from_bits_retain(message.header.flags.bits().into());
    for attribute in &message.attributes {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the kernel tells far more than is needed")]
        match attribute {
            AddressAttribute::Local(address) => own = Some(*address),
            AddressAttribute::Address(address) => on_link = Some(*address),
            AddressAttribute::Flags(all) => flags = *all,
            _ => {}
        }
    }
    if flags.intersects(AddressFlags::Dadfailed)
        || flags.contains(AddressFlags::Tentative) && !flags.contains(AddressFlags::Optimistic)
    {
        return None;
    }
    // On a point-to-point link the local address differs and the other attribute is the peer's.
    let (address, on_link) = (own.or(on_link)?, on_link.or(own)?);
    Some(LinkAddress { address, prefix: IpPrefix::containing(on_link, message.header.prefix_len)? })
}

/// The least time between two lists: Pods that come and go move dozens of interfaces at once.
const COALESCE: Duration = Duration::from_millis(20);

/// A list takes milliseconds; one that takes longer has lost its end to an overrun.
const DUMP_TIMEOUT: Duration = Duration::from_secs(2);

/// The time between two attempts to open netlink again.
const RETRY: Duration = Duration::from_secs(1);

/// How often failures are logged.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
