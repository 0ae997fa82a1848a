//! The driver's sockets, and waiting on all of them at once.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use ferrolb_telemetry::{RateLimit, chain, clock};
use ferrolb_vocab::{Instant, IpFamily};
use ferrolb_wire::mesh::DATAGRAM_MAX;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, Protocol, Socket, Type};

use super::SpawnError;
use super::refusals::{self, Refusal};
use crate::wake::Wakened;

/// Packets taken from one socket before the timers get their turn: more than a receive buffer
/// holds, so that only a flood meets it.
const RECEIVE_MAX: usize = 4_096;

/// Octets of a socket's receive buffer: seconds of heartbeats of a hundred peers, should this
/// thread not run for so long. The kernel caps it at `net.core.rmem_max`.
const RECEIVE_BUFFER: usize = 1 << 20;

/// Descriptors that are left free below a socket, more than a speaker opens.
const DESCRIPTORS_BELOW: usize = 256;

/// Between two attempts to open a lost socket.
const REOPEN_INTERVAL: Duration = Duration::from_millis(100);

/// The longest sleep, for a mesh that has nothing to do.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// Pause after a `poll` that was refused, which only exhausted memory can explain: going on at
/// once would burn a CPU.
const POLL_RETRY: Duration = Duration::from_millis(10);

/// How often a datagram is handed to the system. A socket that tells what became of datagrams
/// fails the next call, and that only, for one that came back; several may come back meanwhile.
const SEND_ATTEMPTS: usize = 3;

/// Between two log lines about the same trouble.
pub(super) const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// One socket per bound address, and the wake-up.
#[derive(Debug)]
pub(super) struct Sockets {
    ports: Vec<Port>,
    wakened: Wakened,
    reopen_log: RateLimit,
}

#[derive(Debug)]
struct Port {
    address: SocketAddr,
    state: PortState,
}

#[derive(Debug)]
enum PortState {
    Open(UdpSocket),
    Lost { retry: Instant },
}

/// What came out of receiving, beside packets.
#[derive(Debug)]
pub(super) struct Received {
    /// The number of sockets found lost.
    pub(super) lost: u64,
    /// What came back. It says something about what was sent before any packet of this turn.
    pub(super) refused: Vec<Refusal>,
}

/// Why a datagram was not sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    /// The family's socket is lost, and being opened again.
    #[error("the socket is being opened again")]
    Lost,
    /// The system refused.
    #[error(transparent)]
    Refused(#[from] io::Error),
}

impl Sockets {
    /// Opens one socket per address of `bind`, leaving out families that the host does not have.
    pub(super) fn open(bind: &[IpAddr], port: u16, wakened: Wakened) -> Result<Self, SpawnError> {
        let mut ports = Vec::new();
        for &address in bind {
            let address = SocketAddr::new(address, port);
            match open(address) {
                Ok(socket) => ports.push(Port { address, state: PortState::Open(socket) }),
                Err(error) if error.raw_os_error() == Some(Errno::EAFNOSUPPORT as i32) => {
                    tracing::info!(%address, "the host lacks this address family, liveness goes without it");
                }
                Err(source) => return Err(SpawnError::Open { address, source }),
            }
        }
        if ports.is_empty() {
            return Err(SpawnError::NoAddress);
        }
        Ok(Self { ports, wakened, reopen_log: RateLimit::new(LOG_INTERVAL) })
    }

    /// The families that can be sent to.
    pub(super) fn families(&self) -> BTreeSet<IpFamily> {
        self.ports.iter().map(|port| IpFamily::of(port.address.ip())).collect()
    }

    /// Sleeps until a packet or a wake-up is there, or `deadline` has passed.
    pub(super) fn wait(&mut self, deadline: Option<Instant>) {
        let retries = self.ports.iter().filter_map(|port| match port.state {
            PortState::Open(_) => None,
            PortState::Lost { retry } => Some(retry),
        });
        let now = clock::now();
        let sleep = retries.chain(deadline).min().map_or(SLEEP_MAX, |wake| wake.saturating_since(now));
        let sockets = self.ports.iter().filter_map(|port| match &port.state {
            PortState::Open(socket) => Some(socket.as_fd()),
            PortState::Lost { .. } => None,
        });
        let fds = sockets.chain([self.wakened.as_fd()]);
        let mut fds: Vec<PollFd<'_>> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        match poll(&mut fds, poll_timeout(sleep)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => {
                tracing::error!(%error, "waiting for liveness packets was refused");
                thread::sleep(POLL_RETRY);
            }
        }
        self.wakened.drain();
    }

    /// Hands every packet that has arrived to `accept`, and opens lost sockets again when that
    /// is due.
    pub(super) fn receive(&mut self, now: Instant, mut accept: impl FnMut(SocketAddr, &[u8])) -> Received {
        let (mut lost, mut refused) = (0, Vec::new());
        for port in &mut self.ports {
            let outcome = match &port.state {
                PortState::Open(socket) => drain(socket, &mut refused, &mut accept),
                PortState::Lost { retry } if *retry > now => continue,
                PortState::Lost { .. } => match open(port.address) {
                    Ok(socket) => {
                        tracing::info!(address = %port.address, "liveness socket is open again");
                        port.state = PortState::Open(socket);
                        Ok(())
                    }
                    Err(error) => Err(error),
                },
            };
            let Err(error) = outcome else { continue };
            if let Some(suppressed) = self.reopen_log.admit(now) {
                let error = chain(&error);
                tracing::warn!(address = %port.address, %error, suppressed, "liveness socket is lost, opening it again");
            }
            lost += u64::from(matches!(port.state, PortState::Open(_)));
            port.state = PortState::Lost { retry: now + REOPEN_INTERVAL };
        }
        Received { lost, refused }
    }

    /// Sends one datagram from the socket of its family.
    pub(super) fn send(&self, dst: SocketAddr, payload: &[u8]) -> Result<(), SendError> {
        let socket = self.ports.iter().find_map(|port| match &port.state {
            PortState::Open(socket) if port.address.is_ipv4() == dst.is_ipv4() => Some(socket),
            PortState::Open(_) | PortState::Lost { .. } => None,
        });
        let socket = socket.ok_or(SendError::Lost)?;
        let mut outcome = socket.send_to(payload, dst);
        for _ in 1..SEND_ATTEMPTS {
            if outcome.is_err() {
                outcome = socket.send_to(payload, dst);
            }
        }
        outcome?;
        Ok(())
    }
}

/// A bound socket. Without `SO_REUSEADDR`: a second speaker on this node must not share the port.
///
/// Linux closes the files of a killed process from the highest descriptor down, and takes up to 16 ms for each
/// packet socket. Its port is what the peers notice first, so this one stays above whatever is opened later.
fn open(address: SocketAddr) -> io::Result<UdpSocket> {
    let below: Vec<File> =
        (0..DESCRIPTORS_BELOW).map(|_| File::open("/dev/null")).collect::<Result<_, _>>()?;
    let socket = open_above(address);
    drop(below);
    socket
}

fn open_above(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    let socket = socket.into();
    refusals::ask_for(&socket)?;
    Ok(socket)
}

/// Receives until there is no more, or [`RECEIVE_MAX`].
fn drain(
    socket: &UdpSocket,
    refused: &mut Vec<Refusal>,
    accept: &mut impl FnMut(SocketAddr, &[u8]),
) -> io::Result<()> {
    // First: while something is in it, receiving fails.
    refusals::take(socket, refused);
    // One octet more than a datagram has, so that a longer one shows.
    let mut buffer = [0; DATAGRAM_MAX + 1];
    for _ in 0..RECEIVE_MAX {
        match socket.recv_from(&mut buffer) {
            Ok((length, src)) => accept(src, buffer.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // It is about a datagram, not about the socket, if something has come back.
            Err(error) => {
                if refusals::take(socket, refused) == 0 {
                    return Err(error);
                }
            }
        }
    }
    Ok(())
}

/// `sleep` in poll's milliseconds, rounded up so that the deadline has passed on waking.
fn poll_timeout(sleep: Duration) -> PollTimeout {
    let millis = sleep.min(SLEEP_MAX).as_micros().div_ceil(1_000);
    PollTimeout::from(u16::try_from(millis).unwrap_or(u16::MAX))
}

#[cfg(test)]
mod tests;
