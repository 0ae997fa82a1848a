//! Sockets, until there is a connection.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::pin::Pin;

use ferrolb_bgp::Transport;
use ferrolb_vocab::InterfaceName;
use nix::errno::Errno;
use nix::libc::c_int;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::options::set_ttl;
use super::{PeerError, TransportOptions};

/// A connection on its way. Dropping it gives it up.
pub(super) type Attempt = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

/// Class Selector 6, network control (RFC 4594 §3.1), in the octet that has it.
const TOS: u32 = 0xc0;

/// Octets that the system holds of what is written, before it doubles them for its own use. What lies
/// there can no longer change: about one batch of UPDATEs.
const SEND_BUFFER: usize = 65_536;

/// Connections that the system has taken and the thread not yet. Peers are a few; who is none of them is
/// dealt with as fast as a thread can.
const BACKLOG: c_int = 64;

/// Begins to open a connection.
///
/// # Errors
/// There is nothing that it could be opened from.
pub(super) fn connect(transport: &Transport, options: &TransportOptions) -> Result<Attempt, PeerError> {
    let socket = prepare(transport, options)?;
    let remote = transport.remote;
    Ok(Box::pin(async move { TcpSocket::from_std_stream(socket.into()).connect(remote).await }))
}

/// Begins to listen, to be called within the runtime. What is accepted has the options of no peer yet.
///
/// # Errors
/// Nobody can connect to this address.
pub(super) fn listen(
    address: SocketAddr,
    interface: Option<&InterfaceName>,
) -> Result<TcpListener, PeerError> {
    let socket = unbound(address).map_err(|error| PeerError::Socket(errno(error)))?;
    bind_device(&socket, interface)?;
    let refused = |error| PeerError::Listen { address, source: errno(error) };
    // The answer to who connects has to reach a peer that is far, and one that takes 255 alone.
    set_ttl(&socket, address.ip(), NonZeroU8::MAX).map_err(refused)?;
    // Connections of the speaker that was here before still have the address.
    socket.set_reuse_address(true).map_err(refused)?;
    socket.bind(&address.into()).map_err(refused)?;
    socket.listen(BACKLOG).map_err(refused)?;
    TcpListener::from_std(socket.into()).map_err(refused)
}

/// The number of a system's error.
pub(super) fn errno(error: io::Error) -> Errno {
    Errno::try_from(error).unwrap_or(Errno::UnknownErrno)
}

/// A socket that is bound to what the operator names.
fn prepare(transport: &Transport, options: &TransportOptions) -> Result<Socket, PeerError> {
    let Transport { remote, source, interface } = transport;
    if let Some(local) = source.filter(|local| local.is_ipv4() != remote.is_ipv4()) {
        return Err(PeerError::Families { remote: remote.ip(), local });
    }
    if interface.is_none() && is_link_local_anywhere(*remote) {
        return Err(PeerError::LinkLocal(remote.ip()));
    }
    let socket = unbound(*remote).map_err(|error| PeerError::Socket(errno(error)))?;
    options.apply(&socket, remote.ip())?;
    bind_device(&socket, interface.as_ref())?;
    if let Some(local) = *source {
        let refused = |error| PeerError::Local { local, source: errno(error) };
        socket.bind(&SocketAddr::new(local, 0).into()).map_err(refused)?;
    }
    Ok(socket)
}

/// A socket of the family of `address`.
fn unbound(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
        socket.set_tclass_v6(TOS)?;
    } else {
        socket.set_tos_v4(TOS)?;
    }
    // A KEEPALIVE waits for no acknowledgement of what was sent before it.
    socket.set_tcp_nodelay(true)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn bind_device(socket: &Socket, interface: Option<&InterfaceName>) -> Result<(), PeerError> {
    let Some(name) = interface else { return Ok(()) };
    let refused = |error| PeerError::Interface { interface: name.clone(), source: errno(error) };
    socket.bind_device(Some(name.as_str().as_bytes())).map_err(refused)
}

/// Whether an address says nothing without an interface, and names none itself.
fn is_link_local_anywhere(remote: SocketAddr) -> bool {
    match remote {
        SocketAddr::V4(_) => false,
        SocketAddr::V6(remote) => remote.ip().is_unicast_link_local() && remote.scope_id() == 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bgp::Password;
    use crate::bgp::options::min_ttl;
    use crate::bgp::tests::router::options;
    use std::net::IpAddr;

    fn transport(remote: &str, source: Option<&str>) -> Transport {
        let source = source.map(|source| source.parse::<IpAddr>().unwrap());
        Transport { remote: remote.parse().unwrap(), source, interface: None }
    }

    fn error(transport: &Transport) -> PeerError {
        prepare(transport, &options()).unwrap_err()
    }

    #[test]
    fn what_is_sent_is_network_control_goes_so_far_and_comes_from_the_source() {
        for ttl in [NonZeroU8::MIN, NonZeroU8::MAX] {
            let options = TransportOptions { ttl, min_ttl: Some(ttl), ..options() };
            let socket = prepare(&transport("127.0.0.1:179", Some("127.0.99.1")), &options).unwrap();
            assert_eq!((socket.ttl_v4().unwrap(), socket.tos_v4().unwrap()), (ttl.get().into(), 0xc0));
            let local = socket.local_addr().unwrap().as_socket().unwrap();
            assert_eq!(min_ttl(&socket, local.ip()), i32::from(ttl.get()));
            assert!(socket.tcp_nodelay().unwrap());
            assert_eq!(local.ip(), IpAddr::from([127, 0, 99, 1]));
        }
    }

    #[test]
    fn over_ipv6_it_goes_the_same_way() {
        let ttl = NonZeroU8::MAX;
        let options = TransportOptions { ttl, min_ttl: Some(ttl), ..options() };
        let Ok(socket) = prepare(&transport("[::1]:179", Some("::1")), &options) else {
            println!("this host lacks IPv6");
            return;
        };
        assert_eq!((socket.unicast_hops_v6().unwrap(), socket.tclass_v6().unwrap()), (255, 0xc0));
        assert_eq!(min_ttl(&socket, IpAddr::from([0; 16])), 255);
    }

    #[test]
    fn what_cannot_be_connected_from_is_named() {
        let foreign = error(&transport("127.0.0.1:179", Some("192.0.2.77")));
        assert!(matches!(foreign, PeerError::Local { source: Errno::EADDRNOTAVAIL, .. }), "{foreign:?}");
        let mixed = error(&transport("127.0.0.1:179", Some("::1")));
        assert!(matches!(mixed, PeerError::Families { .. }), "{mixed:?}");
        let link_local = error(&transport("[fe80::1]:179", None));
        assert_eq!(link_local, PeerError::LinkLocal("fe80::1".parse().unwrap()));
        let nowhere =
            Transport { interface: Some("no-such-link".into()), ..transport("127.0.0.1:179", None) };
        let nowhere = error(&nowhere);
        assert!(matches!(nowhere, PeerError::Interface { source: Errno::ENODEV, .. }), "{nowhere:?}");
    }

    #[test]
    fn a_password_that_is_no_key_is_refused() {
        let options = TransportOptions { password: Some(Password::new(b"")), ..options() };
        let refused = prepare(&transport("127.0.0.1:179", None), &options).unwrap_err();
        assert_eq!(refused, PeerError::Password(Errno::EINVAL));
    }
}
