//! The sockets that packets come to, one per port and address family that a session needs.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use ferrolb_vocab::{Instant, IpFamily};
use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc::{c_int, in6_pktinfo};
use nix::sys::socket::sockopt::{Ipv4PacketInfo, Ipv4RecvTtl, Ipv6RecvHopLimit, Ipv6RecvPacketInfo};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt};
use socket2::{Domain, Protocol, Socket, Type};

use super::retry::Retry;
use super::sender::errno;
use super::{BfdConfig, SessionError, SessionPath};

/// Packets taken from one socket before the timers get their turn: more than a receive buffer
/// holds, so that only a flood meets it.
const RECEIVE_MAX: usize = 4_096;

/// Octets of a socket's receive buffer: what hundreds of peers send while this thread cannot run.
/// The kernel caps it at `net.core.rmem_max`.
const RECEIVE_BUFFER: usize = 1 << 20;

/// Octets taken of a packet: all that its length field can count, RFC 5880 §4.1.
const PACKET_MAX: usize = 255;

/// One of the ports that sessions need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Port {
    /// Of which kind of session.
    pub(super) is_multihop: bool,
    /// Of which addresses.
    pub(super) family: IpFamily,
}

/// A packet as it came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet<'a> {
    /// Its source.
    pub(super) peer: IpAddr,
    /// Its destination.
    pub(super) local: IpAddr,
    /// The index of the interface that it came by.
    pub(super) interface: u32,
    /// Its Time to Live or Hop Limit.
    pub(super) ttl: u8,
    /// What it says.
    pub(super) payload: &'a [u8],
}

/// The sockets, and those that could not be opened.
#[derive(Debug)]
pub(super) struct Listeners {
    config: BfdConfig,
    ports: BTreeMap<Port, Listener>,
    /// Room for what the kernel says of a packet.
    control: Vec<u8>,
}

#[derive(Debug)]
enum Listener {
    Open(UdpSocket),
    /// There was none yet, or it was refused or lost.
    Closed {
        retry: Retry,
        refusal: Option<Errno>,
    },
}

impl Port {
    /// The port that a session's packets come to.
    pub(super) const fn of(path: &SessionPath) -> Self {
        Self { is_multihop: path.is_multihop, family: IpFamily::of(path.peer) }
    }
}

impl Listeners {
    /// Without sockets.
    pub(super) fn new(config: BfdConfig) -> Self {
        // The one for IPv6 is the longer one.
        Self { config, ports: BTreeMap::new(), control: cmsg_space!(in6_pktinfo, c_int) }
    }

    /// Closes what is not among `needed`, and opens what is, as far as it is due.
    pub(super) fn set_needed(&mut self, needed: &BTreeSet<Port>, now: Instant) {
        self.ports.retain(|port, _| needed.contains(port));
        for &port in needed {
            let address = self.address(port);
            let listener = self.ports.entry(port).or_insert(Listener::closed(now));
            if let Listener::Closed { retry, refusal } = listener
                && retry.due() <= now
            {
                match open(address) {
                    Ok(socket) => *listener = Listener::Open(socket),
                    Err(error) => {
                        *refusal = Some(errno(&error));
                        retry.put_off(now);
                    }
                }
            }
        }
    }

    /// Whether packets can come to `port`.
    pub(super) fn is_open(&self, port: Port) -> bool {
        matches!(self.ports.get(&port), Some(Listener::Open(_)))
    }

    /// Why packets cannot come to `port`.
    pub(super) fn error(&self, port: Port) -> Option<SessionError> {
        let Some(Listener::Closed { refusal: Some(source), .. }) = self.ports.get(&port) else { return None };
        Some(SessionError::Listen { address: self.address(port), source: *source })
    }

    /// When the next port is to be opened.
    pub(super) fn next_retry(&self) -> Option<Instant> {
        let retries = self.ports.values().filter_map(|listener| match listener {
            Listener::Open(_) => None,
            Listener::Closed { retry, .. } => Some(retry.due()),
        });
        retries.min()
    }

    /// What becomes readable when packets have come.
    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.ports.values().filter_map(|listener| match listener {
            Listener::Open(socket) => Some(socket.as_fd()),
            Listener::Closed { .. } => None,
        })
    }

    /// Hands every packet that has come to `accept`. How many sockets were found lost.
    pub(super) fn receive(&mut self, now: Instant, mut accept: impl FnMut(Port, Packet<'_>)) -> u64 {
        let mut lost = 0;
        for (&port, listener) in &mut self.ports {
            let Listener::Open(socket) = listener else { continue };
            if let Err(error) = drain(socket, &mut self.control, |packet| accept(port, packet)) {
                lost += 1;
                let mut retry = Retry::at_once(now);
                retry.put_off(now);
                *listener = Listener::Closed { retry, refusal: Some(error) };
            }
        }
        lost
    }

    fn address(&self, port: Port) -> SocketAddr {
        let ip = match port.family {
            IpFamily::V4 => self.config.bind_v4.into(),
            IpFamily::V6 => self.config.bind_v6.into(),
        };
        SocketAddr::new(ip, self.config.port(port.is_multihop))
    }
}

impl Listener {
    const fn closed(now: Instant) -> Self {
        Self::Closed { retry: Retry::at_once(now), refusal: None }
    }
}

/// A bound socket whose packets come with their Time to Live and destination. With neither
/// `SO_REUSEADDR` nor `SO_REUSEPORT`: to share the port with another daemon is to lose packets to
/// it.
fn open(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
        setsockopt(&socket, Ipv6RecvPacketInfo, &true)?;
        setsockopt(&socket, Ipv6RecvHopLimit, &true)?;
    } else {
        setsockopt(&socket, Ipv4PacketInfo, &true)?;
        setsockopt(&socket, Ipv4RecvTtl, &true)?;
    }
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Receives until there is no more, or [`RECEIVE_MAX`].
fn drain(socket: &UdpSocket, control: &mut [u8], mut accept: impl FnMut(Packet<'_>)) -> Result<(), Errno> {
    let mut payload = [0; PACKET_MAX];
    for _ in 0..RECEIVE_MAX {
        let mut slices = [IoSliceMut::new(&mut payload)];
        let flags = MsgFlags::MSG_DONTWAIT;
        let received =
            recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut slices, Some(&mut *control), flags);
        let (length, peer, told) = match received {
            Ok(message) => {
                let peer = message.address.as_ref().and_then(ip);
                let told = message.cmsgs().map(|messages| messages.fold(Told::default(), Told::with));
                (message.bytes, peer, told.unwrap_or_default())
            }
            Err(Errno::EAGAIN) => return Ok(()),
            Err(Errno::EINTR) => continue,
            Err(error) => return Err(error),
        };
        if let (Some(peer), Some((local, interface))) = (peer, told.destination) {
            let payload = payload.get(..length).unwrap_or_default();
            accept(Packet { peer, local, interface, ttl: told.ttl, payload });
        }
    }
    Ok(())
}

/// What the kernel says of a packet. One without a Time to Live counts as one that came from afar.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    destination: Option<(IpAddr, u32)>,
    ttl: u8,
}

impl Told {
    fn with(self, message: ControlMessageOwned) -> Self {
        let mut told = self;
        if let ControlMessageOwned::Ipv4PacketInfo(info) = message {
            let address = Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes());
            told.destination = Some((address.into(), u32::try_from(info.ipi_ifindex).unwrap_or_default()));
        } else if let ControlMessageOwned::Ipv6PacketInfo(info) = message {
            told.destination = Some((Ipv6Addr::from(info.ipi6_addr.s6_addr).into(), info.ipi6_ifindex));
        } else if let ControlMessageOwned::Ipv4Ttl(ttl) | ControlMessageOwned::Ipv6HopLimit(ttl) = message {
            told.ttl = u8::try_from(ttl).unwrap_or_default();
        }
        told
    }
}

/// The address that a packet came from, without the scope, which its interface tells.
fn ip(storage: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = storage.as_sockaddr_in().map(|address| IpAddr::from(address.ip()));
    v4.or_else(|| storage.as_sockaddr_in6().map(|address| IpAddr::from(address.ip())))
}

#[cfg(test)]
mod tests;
