//! A packet socket for frames of one kind on one interface.
//!
//! Neighbor Discovery is received here too and not through an ICMPv6 socket: a solicitation
//! unicast to a Service's address (Neighbor Unreachability Detection, RFC 4861 §7.3) is
//! not for the host as the kernel sees it, which forwards or drops it before any ICMPv6
//! socket. Sending frames needs no neighbour entry of the kernel's either.

use std::io;
use std::os::fd::AsRawFd;
use std::task::{Context, Poll, ready};

use ferrolb_l2::Protocol;
use ferrolb_vocab::InterfaceName;
use nix::ifaddrs::getifaddrs;
use nix::libc;
use nix::sys::socket::{LinkAddr, bind, recvfrom};
use socket2::{Domain, SockFilter, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Receives and sends Ethernet frames of one kind on one interface.
#[derive(Debug)]
pub(crate) struct PacketSocket {
    socket: AsyncFd<Socket>,
    index: u32,
}

/// Which frames a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frames {
    /// ARP.
    Arp,
    /// Neighbor Solicitations and Advertisements.
    NeighborDiscovery,
    /// Router Solicitations and Advertisements.
    RouterDiscovery,
}

/// What a receive yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// A frame of this many octets.
    Frame(usize),
    /// A frame that is not this interface's, although its socket got it.
    OfOtherLink,
    /// No frame is waiting.
    Nothing,
}

/// Why a packet socket cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// The kernel refuses the socket.
    #[error("opening a packet socket on {interface}; the speaker needs CAP_NET_RAW")]
    Open {
        interface: InterfaceName,
        #[source]
        source: io::Error,
    },
    /// The interface went away.
    #[error("interface {interface} with index {index} is gone; it is opened again when it comes back")]
    Gone { interface: InterfaceName, index: u32 },
    /// The kernel refuses the interface.
    #[error("binding a packet socket to {interface}")]
    Bind {
        interface: InterfaceName,
        #[source]
        source: io::Error,
    },
}

impl PacketSocket {
    /// Opens a socket for those `frames` that the interface receives.
    pub(crate) fn open(interface: &InterfaceName, index: u32, frames: Frames) -> Result<Self, OpenError> {
        let open_error = |source| OpenError::Open { interface: interface.clone(), source };
        let socket = unbound(frames).map_err(open_error)?;
        let bind_error = |source| OpenError::Bind { interface: interface.clone(), source };
        let address = packet_address(interface, index)
            .map_err(bind_error)?
            .ok_or_else(|| OpenError::Gone { interface: interface.clone(), index })?;
        bind(socket.as_raw_fd(), &address).map_err(|errno| bind_error(errno.into()))?;
        let socket = registered(socket).map_err(open_error)?;
        Ok(Self { socket, index })
    }

    /// Ready when a frame may be waiting.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        // An error shows again at the receive that follows, where it is handled.
        drop(ready!(self.socket.poll_read_ready(cx)));
        Poll::Ready(())
    }

    /// Receives a frame into `buffer`.
    pub(crate) fn try_receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        let received = self
            .socket
            .try_io(Interest::READABLE, |socket| Ok(recvfrom::<LinkAddr>(socket.as_raw_fd(), buffer)?));
        match received {
            Ok((_, Some(from))) if !self.is_for_this_interface(&from) => Ok(Received::OfOtherLink),
            Ok((length, _)) => Ok(Received::Frame(length)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Received::Nothing),
            Err(error) => Err(error),
        }
    }

    /// Sends a frame. An error of kind `WouldBlock` means that the interface is congested.
    ///
    /// The socket is asked, not the runtime: that learns only at its next poll that a new socket can
    /// be written to, too late for the announcement that the socket was opened for.
    pub(crate) fn try_send(&self, frame: &[u8]) -> io::Result<()> {
        self.socket.get_ref().send(frame).map(drop)
    }

    /// A socket bound to a VLAN's parent also gets the VLAN's frames, their tag taken off:
    /// marked with the VLAN interface's index or, if there is none, as another host's.
    fn is_for_this_interface(&self, from: &LinkAddr) -> bool {
        from.ifindex() == self.index as usize && from.pkttype() != libc::PACKET_OTHERHOST
    }
}

impl From<Protocol> for Frames {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Arp => Self::Arp,
            Protocol::Ndp => Self::NeighborDiscovery,
        }
    }
}

fn unbound(frames: Frames) -> io::Result<Socket> {
    let (ether_type, filter) = match frames {
        Frames::Arp => (ETHERTYPE_ARP, None),
        Frames::NeighborDiscovery => (ETHERTYPE_IPV6, Some(&NEIGHBOR_DISCOVERY)),
        Frames::RouterDiscovery => (ETHERTYPE_IPV6, Some(&ROUTER_DISCOVERY)),
    };
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(i32::from(ether_type.to_be()).into()))?;
    if let Some(filter) = filter {
        socket.attach_filter(filter)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[expect(
    deprecated,
    reason = "its successor is unsafe for types whose descriptor may change; that of a Socket does not"
)]
fn registered(socket: Socket) -> io::Result<AsyncFd<Socket>> {
    AsyncFd::with_interest(socket, Interest::READABLE)
}

/// The interface's packet address as the kernel gives it. Its protocol is zero, with which a
/// bind keeps the one that the socket was opened with (packet(7)).
fn packet_address(interface: &InterfaceName, index: u32) -> io::Result<Option<LinkAddr>> {
    Ok(getifaddrs()?
        .filter(|entry| entry.interface_name == interface.as_str())
        .filter_map(|entry| entry.address.as_ref()?.as_link_addr().copied())
        .find(|address| address.ifindex() == index as usize))
}

const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_IPV6: u16 = 0x86dd;

/// Neighbor Solicitation and Neighbor Advertisement, RFC 4861 §4.3, §4.4.
const NEIGHBOR_DISCOVERY: [SockFilter; 7] = icmpv6_types(135, 136);

/// Router Solicitation and Router Advertisement, RFC 4861 §4.1, §4.2.
const ROUTER_DISCOVERY: [SockFilter; 7] = icmpv6_types(133, 134);

/// Passes ICMPv6 messages of these two types alone: without it every IPv6 packet of the interface would
/// wake us. Offsets count from the Ethernet header.
const fn icmpv6_types(one: u32, other: u32) -> [SockFilter; 7] {
    [
        SockFilter::new(LOAD_OCTET, 0, 0, 14 + 6),  // IPv6 next header
        SockFilter::new(JUMP_IF_EQUAL, 0, 4, 58),   // ICMPv6
        SockFilter::new(LOAD_OCTET, 0, 0, 14 + 40), // ICMPv6 type
        SockFilter::new(JUMP_IF_EQUAL, 1, 0, one),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, other),
        SockFilter::new(RETURN, 0, 0, u32::MAX), // the whole frame
        SockFilter::new(RETURN, 0, 0, 0),        // nothing
    ]
}

const JUMP_IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const LOAD_OCTET: u16 = 0x30; // BPF_LD | BPF_B | BPF_ABS
const RETURN: u16 = 0x06; // BPF_RET | BPF_K
