//! The socket that one session sends from.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6, UdpSocket};

use ferrolb_bfd::TTL;
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use socket2::{Domain, Protocol, Socket, Type};

use super::{SessionError, SessionPath};

/// The lowest source port, RFC 5881 §4; the highest is the highest there is.
const SOURCE_PORT_MIN: u16 = 49_152;

/// How many source ports are tried. Of the 16,384 the engine's sessions have 1,024 at most.
const SOURCE_PORTS_TRIED: u16 = 64;

/// Class Selector 6, network control (RFC 4594 §3.1), in the octet that has it.
const TOS: u32 = 0xc0;

/// No interface in particular, as an index of the kernel's.
pub(super) const ANY_INTERFACE: u32 = 0;

/// A socket with a source port that is one session's alone.
#[derive(Debug)]
pub(super) struct Sender {
    socket: UdpSocket,
    destination: SocketAddr,
    interface: u32,
    source_port: u16,
}

/// The index of a path's interface, [`ANY_INTERFACE`] if it names none.
///
/// # Errors
/// There is no such interface, or the peer's address means nothing without one.
fn interface_of(path: &SessionPath) -> Result<u32, SessionError> {
    match &path.interface {
        Some(name) => if_nametoindex(name.as_str())
            .map_err(|source| SessionError::Interface { interface: name.clone(), source }),
        None if is_link_local(path.peer) => Err(SessionError::LinkLocal(path.peer)),
        None => Ok(ANY_INTERFACE),
    }
}

impl Sender {
    /// Opens a socket that sends to `port`, from the first source port that is free of those
    /// that follow `draw`; if that is one that a session may have, it is the first. Sessions with
    /// other local addresses could share one, so that `is_taken` tells of theirs.
    ///
    /// # Errors
    /// The interface or the local address is not this host's, or the ports are all in use.
    pub(super) fn open(
        path: &SessionPath,
        port: u16,
        draw: u16,
        is_taken: impl Fn(u16) -> bool,
    ) -> Result<Self, SessionError> {
        let interface = interface_of(path)?;
        let local = path.local_or_any();
        if local.is_ipv4() != path.peer.is_ipv4() {
            return Err(SessionError::Families { peer: path.peer, local });
        }
        let refused = |error: io::Error| SessionError::Local { local, source: errno(&error) };
        let socket = unbound(local).map_err(refused)?;
        if let Some(name) = &path.interface {
            socket.bind_device(Some(name.as_str().as_bytes())).map_err(|error| SessionError::Interface {
                interface: name.clone(),
                source: errno(&error),
            })?;
        }
        for source_port in source_ports(draw).filter(|port| !is_taken(*port)) {
            match socket.bind(&scoped(local, source_port, interface).into()) {
                Ok(()) => {
                    let destination = scoped(path.peer, port, interface);
                    return Ok(Self { socket: socket.into(), destination, interface, source_port });
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(refused(error)),
            }
        }
        Err(SessionError::SourcePort(SOURCE_PORTS_TRIED))
    }

    /// Sends one packet.
    pub(super) fn send(&self, payload: &[u8]) -> Result<(), Errno> {
        self.socket.send_to(payload, self.destination).map(drop).map_err(|error| errno(&error))
    }

    /// Whether the name of its interface is another interface's now, or none's.
    pub(super) fn has_moved(&self, path: &SessionPath) -> bool {
        self.interface != ANY_INTERFACE && interface_of(path) != Ok(self.interface)
    }

    /// The index that its interface had; [`ANY_INTERFACE`] if it is bound to none.
    pub(super) const fn interface(&self) -> u32 {
        self.interface
    }

    /// Where its packets come from.
    pub(super) const fn source_port(&self) -> u16 {
        self.source_port
    }
}

/// The ports to try, each once.
fn source_ports(draw: u16) -> impl Iterator<Item = u16> {
    let count = u16::MAX - SOURCE_PORT_MIN + 1;
    (0..SOURCE_PORTS_TRIED).map(move |step| SOURCE_PORT_MIN + (draw % count + step) % count)
}

/// A socket of the family of `local`.
fn unbound(local: IpAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address((local, 0).into()), Type::DGRAM, Some(Protocol::UDP))?;
    if local.is_ipv6() {
        socket.set_only_v6(true)?;
        socket.set_unicast_hops_v6(u32::from(TTL))?;
        socket.set_tclass_v6(TOS)?;
    } else {
        socket.set_ttl_v4(u32::from(TTL))?;
        socket.set_tos_v4(TOS)?;
    }
    // Peers do not answer to this port, and nobody reads what comes to it: let it fill little.
    socket.set_recv_buffer_size(0)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// The address with the scope that a link-local one needs.
fn scoped(address: IpAddr, port: u16, interface: u32) -> SocketAddr {
    match address {
        IpAddr::V6(v6) if is_link_local(address) => SocketAddrV6::new(v6, port, 0, interface).into(),
        IpAddr::V4(_) | IpAddr::V6(_) => SocketAddr::new(address, port),
    }
}

const fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// The number of a system's error.
pub(super) fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::SockRef;
    use std::collections::BTreeSet;

    fn path(peer: &str, local: Option<&str>) -> SessionPath {
        SessionPath {
            peer: peer.parse().unwrap(),
            local: local.map(|local| local.parse().unwrap()),
            interface: None,
            is_multihop: false,
        }
    }

    fn error(path: &SessionPath) -> SessionError {
        Sender::open(path, 3784, 0, |_| false).unwrap_err()
    }

    #[test]
    fn each_session_sends_from_a_port_of_its_own_with_the_highest_ttl_and_as_network_control() {
        let mut ports = BTreeSet::new();
        let mut senders = Vec::new();
        for last in 1..=20 {
            // Local addresses of their own: the system alone would give them one port.
            let path = path("127.0.0.1", Some(&format!("127.0.99.{last}")));
            let sender = Sender::open(&path, 3784, 7, |port| ports.contains(&port)).unwrap();
            assert_eq!(sender.socket.local_addr().unwrap().port(), sender.source_port());
            assert!(sender.source_port() >= 49_152);
            assert!(ports.insert(sender.source_port()));
            let socket = SockRef::from(&sender.socket);
            assert_eq!((socket.ttl_v4().unwrap(), socket.tos_v4().unwrap()), (255, 0xc0));
            senders.push(sender);
        }
    }

    #[test]
    fn over_ipv6_packets_go_the_same_way() {
        let Ok(sender) = Sender::open(&path("::1", Some("::1")), 3784, 7, |_| false) else {
            println!("this host lacks IPv6");
            return;
        };
        let socket = SockRef::from(&sender.socket);
        assert_eq!((socket.unicast_hops_v6().unwrap(), socket.tclass_v6().unwrap()), (255, 0xc0));
    }

    #[test]
    fn source_ports_are_those_of_rfc5881_4_from_any_draw() {
        for draw in [0, 1, 16_383, 16_384, 49_152, u16::MAX] {
            let ports: BTreeSet<u16> = source_ports(draw).collect();
            assert_eq!(ports.len(), 64);
            assert!(ports.iter().all(|port| *port >= 49_152));
        }
        for port in [49_152, 49_153, u16::MAX] {
            assert_eq!(source_ports(port).next(), Some(port));
        }
        assert!(source_ports(16_380).any(|port| port == 49_152), "after the last comes the first");
    }

    #[test]
    fn a_port_that_is_in_use_is_passed_over() {
        let path = path("127.0.0.1", Some("127.0.99.30"));
        let one = Sender::open(&path, 3784, 700, |_| false).unwrap();
        let two = Sender::open(&path, 3784, 700, |_| false).unwrap();
        assert_ne!(one.source_port(), two.source_port());
        assert_eq!(Sender::open(&path, 3784, 0, |_| true).unwrap_err(), SessionError::SourcePort(64));
    }

    #[test]
    fn what_cannot_be_sent_from_is_named() {
        let foreign = error(&path("127.0.0.1", Some("192.0.2.77")));
        assert!(matches!(foreign, SessionError::Local { source: Errno::EADDRNOTAVAIL, .. }), "{foreign:?}");
        let link_local = error(&path("fe80::1", None));
        assert_eq!(link_local, SessionError::LinkLocal("fe80::1".parse().unwrap()));
        let mixed = error(&path("127.0.0.1", Some("::1")));
        assert!(matches!(mixed, SessionError::Families { .. }), "{mixed:?}");
        let nowhere = SessionPath { interface: Some("no-such-link".into()), ..path("127.0.0.1", None) };
        let nowhere = error(&nowhere);
        assert!(matches!(nowhere, SessionError::Interface { source: Errno::ENODEV, .. }), "{nowhere:?}");
    }

    #[test]
    fn a_socket_is_stale_once_its_interface_is_another() {
        let on_lo = SessionPath { interface: Some("lo".into()), ..path("127.0.0.1", Some("127.0.99.40")) };
        let sender = Sender::open(&on_lo, 3784, 0, |_| false).unwrap();
        assert!(!sender.has_moved(&on_lo));
        assert!(Sender { interface: u32::MAX, ..sender }.has_moved(&on_lo));
        let anywhere = path("127.0.0.1", Some("127.0.99.40"));
        assert!(!Sender::open(&anywhere, 3784, 0, |_| false).unwrap().has_moved(&anywhere));
    }

    #[test]
    fn a_link_local_address_has_the_scope_of_its_interface() {
        let scoped = |address: &str| scoped(address.parse().unwrap(), 3784, 7).to_string();
        assert_eq!(scoped("fe80::1"), "[fe80::1%7]:3784");
        assert_eq!(scoped("2001:db8::1"), "[2001:db8::1]:3784");
        assert_eq!(scoped("192.0.2.1"), "192.0.2.1:3784");
    }
}
