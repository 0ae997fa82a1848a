//! What kernels of other hosts return: the socket's error queue (ip(7), `IP_RECVERR`).

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use ferrolb_wire::mesh::DATAGRAM_MAX;
use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc::{SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6, sock_extended_err, sockaddr_in6};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt::Ipv4RecvErr,
    sockopt::Ipv6RecvErr,
};

/// Returned datagrams taken from one socket per turn; more wait for the next.
const RETURNED_MAX: usize = 1_024;

/// ICMP Destination Unreachable, Port Unreachable (RFC 792).
const PORT_UNREACHABLE: (u8, u8) = (3, 3);

/// ICMPv6 Destination Unreachable, Port unreachable (RFC 4443 §3.1).
const PORT_UNREACHABLE_V6: (u8, u8) = (1, 4);

/// A datagram of ours that came back, because nobody listens where it was sent.
#[derive(Debug)]
pub(super) struct Refusal {
    /// Where it was sent.
    pub(super) dst: SocketAddr,
    /// As much of it as the other host returned.
    pub(super) returned: Vec<u8>,
}

/// Asks the system to tell what became of datagrams. From then on any call on `socket` may fail
/// with an error that some earlier datagram met.
pub(super) fn ask_for(socket: &UdpSocket) -> io::Result<()> {
    if socket.local_addr()?.is_ipv4() {
        setsockopt(socket, Ipv4RecvErr, &true)?;
    } else {
        setsockopt(socket, Ipv6RecvErr, &true)?;
    }
    Ok(())
}

/// Empties the error queue, adding what was refused to `refusals`. How many entries it had: the
/// others are hosts and networks that could not be reached, which silence tells too.
pub(super) fn take(socket: &UdpSocket, refusals: &mut Vec<Refusal>) -> usize {
    (0..RETURNED_MAX).map_while(|_| take_one(socket)).map(|refusal| refusals.extend(refusal)).count()
}

/// The next entry of the error queue; inside it the refusal, if it is one.
fn take_one(socket: &UdpSocket) -> Option<Option<Refusal>> {
    let mut returned = [0; DATAGRAM_MAX];
    let mut control = cmsg_space!(sock_extended_err, sockaddr_in6);
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let (dst, is_refusal, length) = loop {
        let mut slices = [IoSliceMut::new(&mut returned)];
        match recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut slices, Some(&mut control), flags) {
            Ok(message) => {
                let is_refusal =
                    message.cmsgs().is_ok_and(|mut messages| messages.any(|message| is_refusal(&message)));
                break (message.address.as_ref().and_then(address), is_refusal, message.bytes);
            }
            Err(Errno::EINTR) => {}
            // Empty, or the socket is lost, which receiving from it will show.
            Err(_) => return None,
        }
    };
    let refused = dst.filter(|_| is_refusal);
    Some(refused.map(|dst| Refusal { dst, returned: returned.get(..length).unwrap_or_default().to_vec() }))
}

fn is_refusal(message: &ControlMessageOwned) -> bool {
    let (told, expected) = if let ControlMessageOwned::Ipv4RecvErr(error, _) = message {
        (error, (SO_EE_ORIGIN_ICMP, PORT_UNREACHABLE))
    } else if let ControlMessageOwned::Ipv6RecvErr(error, _) = message {
        (error, (SO_EE_ORIGIN_ICMP6, PORT_UNREACHABLE_V6))
    } else {
        return false;
    };
    (told.ee_origin, (told.ee_type, told.ee_code)) == expected
}

/// The address that the datagram was sent to.
fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = storage.as_sockaddr_in().map(|address| SocketAddr::from(*address));
    v4.or_else(|| storage.as_sockaddr_in6().map(|address| SocketAddr::from(*address)))
}
