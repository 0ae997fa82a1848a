//! Where peers may connect to: nowhere, unless an operator wants it.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::Poll;
use std::time::Duration;

use ferrolb_telemetry::clock;
use ferrolb_vocab::{Instant, InterfaceName, IpFamily, IpPrefix};
use nix::errno::Errno;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};

use super::callers::Caller;
use super::options::sign_range;
use super::{Password, PeerError, Wanted, WantedPeer, WantedRange, socket};

/// After which time a refused address is tried again: the speaker that this one follows on the node, which
/// has it, is about to end.
const RETRY_TIME: Duration = Duration::from_secs(1);

/// What listens, by where: no more than there are peers, and two for each range.
#[derive(Debug, Default)]
pub(super) struct Listeners(BTreeMap<ListenAddress, Listener>);

/// A connection that somebody has opened.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    remote: SocketAddr,
    address: ListenAddress,
}

/// Where peers may connect to. Each family has sockets of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ListenAddress {
    address: SocketAddr,
    interface: Option<InterfaceName>,
}

#[derive(Debug)]
enum Listener {
    Open { socket: TcpListener, keys: BTreeMap<IpPrefix, Key> },
    Refused { error: PeerError, due: Instant },
}

/// The key of one peer or range, and whether the system has refused it.
#[derive(Debug)]
struct Key {
    password: Password,
    refused: Option<Errno>,
}

impl Listeners {
    /// Closes what nobody needs, opens what is due, and keeps the keys of peers and ranges.
    pub(super) fn follow(&mut self, wanted: &Wanted, now: Instant) {
        let mut needed: BTreeMap<ListenAddress, BTreeMap<IpPrefix, &Password>> = BTreeMap::new();
        for peer in wanted.peers.values() {
            let Some(address) = ListenAddress::of(peer) else { continue };
            let passwords = needed.entry(address).or_default();
            passwords.extend(host(peer).zip(peer.options.password.as_ref()));
        }
        for range in wanted.ranges.values() {
            for prefix in &range.prefixes {
                let passwords = needed.entry(ListenAddress::of_range(range, prefix.family())).or_default();
                passwords.extend(range.password.as_ref().map(|password| (*prefix, password)));
            }
        }
        // First, as it may be in the way of what is opened.
        self.0.retain(|address, listener| needed.contains_key(address) && !listener.is_due(now));
        for (address, passwords) in needed {
            let listener = self.0.entry(address).or_insert_with_key(|address| Listener::open(address, now));
            listener.keep_keys(&passwords);
        }
    }

    /// Why a peer that may connect cannot.
    pub(super) fn error(&self, peer: &WantedPeer) -> Option<PeerError> {
        match self.0.get(&ListenAddress::of(peer)?)? {
            Listener::Refused { error, .. } => Some(error.clone()),
            Listener::Open { keys, .. } => {
                let refused = keys.get(&host(peer)?)?.refused?;
                Some(PeerError::Password(refused))
            }
        }
    }

    /// Why nobody can connect from one of the prefixes of a range.
    pub(super) fn range_error(&self, range: &WantedRange) -> Option<PeerError> {
        range.prefixes.iter().find_map(|prefix| {
            match self.0.get(&ListenAddress::of_range(range, prefix.family()))? {
                Listener::Refused { error, .. } => Some(error.clone()),
                Listener::Open { keys, .. } => keys.get(prefix)?.refused.map(PeerError::Password),
            }
        })
    }

    /// When [`Self::follow`] may open what was refused.
    pub(super) fn next_retry(&self) -> Option<Instant> {
        let retries = self.0.values().filter_map(|listener| match listener {
            Listener::Open { .. } => None,
            Listener::Refused { due, .. } => Some(*due),
        });
        retries.min()
    }

    /// Waits until somebody connects. `None`: a socket was lost, and is to be opened again.
    pub(super) async fn accept(&mut self) -> Option<Accepted> {
        poll_fn(|context| {
            for (address, listener) in &mut self.0 {
                let Listener::Open { socket, .. } = listener else { continue };
                match socket.poll_accept(context) {
                    Poll::Pending => {}
                    Poll::Ready(Ok((stream, remote))) => {
                        let address = address.clone();
                        return Poll::Ready(Some(Accepted { stream, remote, address }));
                    }
                    Poll::Ready(Err(error)) => {
                        let (address, source) = (address.address, socket::errno(error));
                        let error = PeerError::Listen { address, source };
                        *listener = Listener::refused(error, clock::now());
                        return Poll::Ready(None);
                    }
                }
            }
            Poll::Pending
        })
        .await
    }
}

impl Accepted {
    /// Whether it is this peer's, which it is by its address.
    pub(super) fn is_of(&self, peer: &WantedPeer) -> bool {
        let address = ListenAddress::of(peer);
        is_same_host(peer.config.transport.remote, self.remote) && address.as_ref() == Some(&self.address)
    }

    /// Whose it is if it came from a range.
    pub(super) fn caller(&self, wanted: &Wanted) -> Option<Caller> {
        let address = self.remote.ip();
        let has = |range: &WantedRange| {
            range.contains(address) && ListenAddress::of_range(range, IpFamily::of(address)) == self.address
        };
        let (name, _) = wanted.ranges.iter().find(|(_, range)| has(range))?;
        Some(Caller { range: name.clone(), address }).filter(|caller| wanted.admits(caller))
    }
}

/// The address of a peer as a prefix.
fn host(peer: &WantedPeer) -> Option<IpPrefix> {
    let address = peer.config.transport.remote.ip();
    IpPrefix::containing(address, IpFamily::of(address).bits())
}

/// Whether who has connected from `remote` is the peer at `wanted`. A link-local address is another host's
/// on each link, and routers like to have the same on all.
fn is_same_host(wanted: SocketAddr, remote: SocketAddr) -> bool {
    let scope = |address: SocketAddr| match address {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(address) => address.scope_id(),
    };
    wanted.ip() == remote.ip() && [0, scope(remote)].contains(&scope(wanted))
}

impl ListenAddress {
    fn of(peer: &WantedPeer) -> Option<Self> {
        let port = peer.options.listen_port?.get();
        let transport = &peer.config.transport;
        let anywhere = anywhere(IpFamily::of(transport.remote.ip()));
        let address = SocketAddr::new(transport.source.unwrap_or(anywhere), port);
        Some(Self { address, interface: transport.interface.clone() })
    }

    fn of_range(range: &WantedRange, family: IpFamily) -> Self {
        let address = SocketAddr::new(range.source.unwrap_or(anywhere(family)), range.port.get());
        Self { address, interface: range.interface.clone() }
    }
}

/// All addresses of this node.
fn anywhere(family: IpFamily) -> IpAddr {
    match family {
        IpFamily::V4 => Ipv4Addr::UNSPECIFIED.into(),
        IpFamily::V6 => Ipv6Addr::UNSPECIFIED.into(),
    }
}

impl Listener {
    fn open(address: &ListenAddress, now: Instant) -> Self {
        match socket::listen(address.address, address.interface.as_ref()) {
            Ok(socket) => Self::Open { socket, keys: BTreeMap::new() },
            Err(error) => Self::refused(error, now),
        }
    }

    fn refused(error: PeerError, now: Instant) -> Self {
        Self::Refused { error, due: now + RETRY_TIME }
    }

    fn is_due(&self, now: Instant) -> bool {
        match self {
            Self::Open { .. } => false,
            Self::Refused { due, .. } => *due <= now,
        }
    }

    /// Has the system take of each peer only what is signed with its key. Who came in before is asked for
    /// it too: the peer's options go to each connection of its own.
    fn keep_keys(&mut self, passwords: &BTreeMap<IpPrefix, &Password>) {
        let Self::Open { socket, keys } = self else { return };
        let socket = SockRef::from(&*socket);
        keys.retain(|remote, _| {
            passwords.contains_key(remote) || sign_range(&socket, *remote, None).is_err()
        });
        for (&remote, &password) in passwords {
            if keys.get(&remote).is_none_or(|key| key.password != *password) {
                let refused = sign_range(&socket, remote, Some(password)).err();
                keys.insert(remote, Key { password: password.clone(), refused });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_local_address_is_one_host_on_its_link() {
        for (wanted, remote, expected) in [
            ("192.0.2.1:179", "192.0.2.1:40000", true),
            ("192.0.2.1:179", "192.0.2.2:40000", false),
            ("[2001:db8::1]:179", "[2001:db8::1]:40000", true),
            ("192.0.2.1:179", "[2001:db8::1]:40000", false),
            ("[fe80::1%2]:179", "[fe80::1%2]:40000", true),
            ("[fe80::1%2]:179", "[fe80::1%3]:40000", false),
            // Bound to its interface, it needs no scope.
            ("[fe80::1]:179", "[fe80::1%3]:40000", true),
        ] {
            let [one, other] = [wanted, remote].map(|text| text.parse().unwrap());
            assert_eq!(is_same_host(one, other), expected, "{wanted} {remote}");
        }
    }
}
