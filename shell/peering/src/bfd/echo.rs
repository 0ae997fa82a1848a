//! The packet socket of the Echo function, RFC 5881 §4.
//!
//! An Echo packet goes to its sender's own address, so that the kernel hands it to no UDP socket on
//! either side: one socket for frames takes it from all interfaces, while a session wants the
//! function. Control packets over one hop come to it too: they tell the link-layer addresses.
//!
//! Where the kernel forwards, it sends a peer's packet back as well; the peer takes the first.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use ferrolb_bfd::TTL;
use ferrolb_vocab::{Instant, MacAddr};
use ferrolb_wire::bfd::{ECHO_PORT, Frame};
use nix::errno::Errno;
use nix::libc::PACKET_HOST;
use nix::sys::socket::{LinkAddr, MsgFlags, recvfrom, sendto};
use socket2::{Domain, SockFilter, Socket, Type};

use super::SessionError;
use super::retry::Retry;
use super::sender::errno;

/// Frames taken before the timers get their turn: more than a receive buffer holds, so that only a
/// flood meets it.
const RECEIVE_MAX: usize = 4_096;

/// Octets taken of a frame: all of one on an Ethernet. A longer one is no Echo packet to send back.
const FRAME_MAX: usize = 1_518;

/// The socket, if one is needed.
#[derive(Debug)]
pub(super) struct EchoSocket {
    /// Where control packets over one hop come to.
    control_port: u16,
    state: State,
}

#[derive(Debug)]
enum State {
    Unneeded,
    Open(Socket),
    /// It was refused or lost.
    Closed {
        retry: Retry,
        refusal: Option<Errno>,
    },
}

/// Where the frames of a session go, as the peer's own said last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Neighbor {
    /// The interface.
    link: LinkAddr,
    here: MacAddr,
    there: MacAddr,
    /// The address that the peer sends to.
    local: Ipv4Addr,
}

impl Neighbor {
    /// The one that sent a control packet.
    pub(super) const fn of(link: LinkAddr, frame: &Frame<'_>) -> Self {
        Self { link, here: frame.to, there: frame.from, local: frame.destination }
    }
}

impl EchoSocket {
    pub(super) const fn new(control_port: u16) -> Self {
        Self { control_port, state: State::Unneeded }
    }

    /// Closes the socket, or opens it if that is due.
    pub(super) fn set_needed(&mut self, is_needed: bool, now: Instant) {
        if !is_needed {
            self.state = State::Unneeded;
            return;
        }
        let mut retry = match &self.state {
            State::Open(_) => return,
            State::Unneeded => Retry::at_once(now),
            State::Closed { retry, .. } => *retry,
        };
        if retry.due() > now {
            return;
        }
        self.state = match open(self.control_port) {
            Ok(socket) => State::Open(socket),
            Err(error) => {
                retry.put_off(now);
                State::Closed { retry, refusal: Some(errno(&error)) }
            }
        };
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Why there is no socket.
    pub(super) const fn error(&self) -> Option<SessionError> {
        match self.state {
            State::Closed { refusal: Some(source), .. } => Some(SessionError::Echo(source)),
            State::Closed { refusal: None, .. } | State::Unneeded | State::Open(_) => None,
        }
    }

    /// When it is to be opened.
    pub(super) const fn next_retry(&self) -> Option<Instant> {
        match &self.state {
            State::Closed { retry, .. } => Some(retry.due()),
            State::Unneeded | State::Open(_) => None,
        }
    }

    /// What becomes readable when frames have come.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.state {
            State::Open(socket) => Some(socket.as_fd()),
            State::Unneeded | State::Closed { .. } => None,
        }
    }

    /// Hands every frame that has come to `accept`, which says whether it goes back as it has left
    /// it. Whether the socket was found lost.
    pub(super) fn receive(&mut self, now: Instant, accept: impl FnMut(LinkAddr, &mut [u8]) -> bool) -> bool {
        let State::Open(socket) = &self.state else { return false };
        let drained = drain(socket, accept);
        if let Err(error) = drained {
            let mut retry = Retry::at_once(now);
            retry.put_off(now);
            self.state = State::Closed { retry, refusal: Some(error) };
        }
        drained.is_err()
    }

    /// Sends an Echo packet.
    pub(super) fn send(&self, neighbor: &Neighbor, payload: &[u8]) -> Result<(), Errno> {
        let State::Open(socket) = &self.state else { return Err(Errno::EBADF) };
        let &Neighbor { link, here, there, local } = neighbor;
        let frame = Frame {
            to: there,
            from: here,
            source: local,
            destination: local,
            ttl: TTL,
            port: ECHO_PORT,
            payload,
        };
        sendto(socket.as_raw_fd(), &frame.emit(), &link, MsgFlags::MSG_DONTWAIT).map(drop)
    }
}

fn open(control_port: u16) -> io::Result<Socket> {
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(i32::from(ETHERTYPE_IPV4.to_be()).into()))?;
    socket.attach_filter(&filter(control_port))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Receives until there is no more, or [`RECEIVE_MAX`].
fn drain(socket: &Socket, mut accept: impl FnMut(LinkAddr, &mut [u8]) -> bool) -> Result<(), Errno> {
    let mut room = [0; FRAME_MAX];
    for _ in 0..RECEIVE_MAX {
        let (length, link) = match recvfrom::<LinkAddr>(socket.as_raw_fd(), &mut room) {
            Ok((length, Some(link))) if link.pkttype() == PACKET_HOST => (length, link),
            // Another host's, or everyone's.
            Ok(_) | Err(Errno::EINTR) => continue,
            Err(Errno::EAGAIN) => return Ok(()),
            Err(error) => return Err(error),
        };
        if let Some(frame) = room.get_mut(..length)
            && accept(link, frame)
        {
            // One that does not go back is a loss that the peer judges.
            sendto(socket.as_raw_fd(), frame, &link, MsgFlags::MSG_DONTWAIT).ok();
        }
    }
    Ok(())
}

const ETHERTYPE_IPV4: u16 = 0x0800;

/// Passes whole UDP datagrams without IP options to the two ports: without it every packet of the
/// host would wake this thread. Offsets count from the Ethernet header.
fn filter(control_port: u16) -> [SockFilter; 11] {
    [
        SockFilter::new(LOAD_OCTET, 0, 0, 14),          // version, header length
        SockFilter::new(JUMP_IF_EQUAL, 0, 8, 0x45),     // 4, five words
        SockFilter::new(LOAD_OCTET, 0, 0, 14 + 9),      // protocol
        SockFilter::new(JUMP_IF_EQUAL, 0, 6, 17),       // UDP
        SockFilter::new(LOAD_HALF, 0, 0, 14 + 6),       // flags, fragment offset
        SockFilter::new(JUMP_IF_ANY_SET, 4, 0, 0x3fff), // a fragment
        SockFilter::new(LOAD_HALF, 0, 0, 14 + 20 + 2),  // destination port
        SockFilter::new(JUMP_IF_EQUAL, 1, 0, u32::from(ECHO_PORT)), // an Echo packet
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, u32::from(control_port)), // a control packet
        SockFilter::new(RETURN, 0, 0, u32::MAX),        // the whole frame
        SockFilter::new(RETURN, 0, 0, 0),               // nothing
    ]
}

const JUMP_IF_ANY_SET: u16 = 0x45; // BPF_JMP | BPF_JSET | BPF_K
const JUMP_IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const LOAD_HALF: u16 = 0x28; // BPF_LD | BPF_H | BPF_ABS
const LOAD_OCTET: u16 = 0x30; // BPF_LD | BPF_B | BPF_ABS
const RETURN: u16 = 0x06; // BPF_RET | BPF_K
