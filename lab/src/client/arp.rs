//! Asks on the link who has the address, again and again.
//!
//! A connection only shows that frames to the MAC address the client remembers still arrive. Whoever
//! has forgotten it, or is new, depends on an answer; and two that answer are one too many.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{LinkAddr, bind};
use serde::Serialize;
use socket2::{Domain, Socket, Type};

use super::tally::micros;

/// Between two requests.
const INTERVAL: Duration = Duration::from_millis(5);
/// The interface of each of the lab's hosts.
const INTERFACE: &str = "eth0";
const ETHERTYPE_ARP: u16 = 0x0806;
/// An Ethernet header and an ARP packet for IPv4 (RFC 826).
const FRAME_LENGTH: usize = 14 + 28;
/// Ethernet type, hardware type, protocol type, their lengths, and the operation "reply".
const REPLY: [u8; 10] = [0x08, 0x06, 0, 1, 0x08, 0x00, 6, 4, 0, 2];
/// The same with the operation "request".
const REQUEST: [u8; 10] = [0x08, 0x06, 0, 1, 0x08, 0x00, 6, 4, 0, 1];

type MacAddr = [u8; 6];

/// What the requests came to. Times are microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Resolution {
    /// Requests that were sent.
    pub requests: u64,
    /// The longest time from one reply to the next, or to the end.
    pub longest_gap_us: u64,
    /// How long, in all, more than one owner answered.
    pub doubled_us: u64,
    /// How many different owners answered.
    pub owners: usize,
}

/// Asks until it is told to finish.
#[derive(Debug)]
pub(super) struct Asker {
    finished: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<Resolution>>,
}

impl Asker {
    /// Starts to ask for `target`.
    pub(super) fn start(target: IpAddr) -> anyhow::Result<Self> {
        let IpAddr::V4(target) = target else { bail!("{target}: the client asks by ARP, which is IPv4") };
        let link = Link::open(target)?;
        let finished = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&finished);
        Ok(Self { finished, thread: std::thread::spawn(move || link.ask(&told)) })
    }

    /// Ends it; returns what it saw.
    pub(super) fn finish(self) -> anyhow::Result<Resolution> {
        self.finished.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_panic| anyhow!("the thread that asks by ARP panicked"))?
    }
}

/// The socket and the question.
#[derive(Debug)]
struct Link {
    socket: Socket,
    request: [u8; FRAME_LENGTH],
    target: Ipv4Addr,
}

impl Link {
    fn open(target: Ipv4Addr) -> anyhow::Result<Self> {
        let entries: Vec<_> = getifaddrs()?.filter(|entry| entry.interface_name == INTERFACE).collect();
        let addresses = || entries.iter().filter_map(|entry| entry.address.as_ref());
        let link: LinkAddr = addresses()
            .find_map(|address| address.as_link_addr().copied())
            .with_context(|| format!("no interface {INTERFACE}; run this on a host of the lab"))?;
        let own = addresses()
            .find_map(|address| address.as_sockaddr_in().map(nix::sys::socket::SockaddrIn::ip))
            .with_context(|| format!("{INTERFACE} has no IPv4 address"))?;
        let mac = link.addr().with_context(|| format!("{INTERFACE} has no MAC address"))?;
        let protocol = i32::from(ETHERTYPE_ARP.to_be()).into();
        let socket =
            Socket::new(Domain::PACKET, Type::RAW, Some(protocol)).context("open a packet socket")?;
        bind(socket.as_raw_fd(), &link).with_context(|| format!("bind to {INTERFACE}"))?;
        Ok(Self { socket, request: request(mac, own, target), target })
    }

    fn ask(&self, finished: &AtomicBool) -> anyhow::Result<Resolution> {
        let mut seen = Seen::new();
        while !finished.load(Ordering::Relaxed) {
            // A link that is down loses the request, which is a gap and no error.
            drop(self.socket.send(&self.request));
            seen.asked();
            self.receive_until(Instant::now() + INTERVAL, &mut seen)?;
        }
        Ok(seen.resolution())
    }

    fn receive_until(&self, deadline: Instant, seen: &mut Seen) -> anyhow::Result<()> {
        let mut frame = [0; 1500];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            // Not a timeout of the socket, which is rounded up to the kernel's ticks.
            let millis = u16::try_from(left.as_micros().div_ceil(1000)).unwrap_or(u16::MAX);
            let mut readable = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
            match poll(&mut readable, PollTimeout::from(millis)) {
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => {
                    let length = (&self.socket).read(&mut frame).context("receive ARP")?;
                    if let Some(owner) = replied(frame.get(..length).unwrap_or_default(), self.target) {
                        seen.replied(owner);
                    }
                }
                Err(error) => return Err(error).context("wait for ARP"),
            }
        }
    }
}

/// A request from the holder of `mac` and `own` to all.
fn request(mac: MacAddr, own: Ipv4Addr, target: Ipv4Addr) -> [u8; FRAME_LENGTH] {
    let parts: [&[u8]; 7] = [&[0xff; 6], &mac, &REQUEST, &mac, &own.octets(), &[0; 6], &target.octets()];
    let mut frame = [0; FRAME_LENGTH];
    for (octet, value) in frame.iter_mut().zip(parts.concat()) {
        *octet = value;
    }
    frame
}

/// Who says to have `target` in a frame that is a reply, or an announcement that has its form.
fn replied(frame: &[u8], target: Ipv4Addr) -> Option<MacAddr> {
    let is_reply = frame.get(12..22)? == REPLY;
    let is_for_target = frame.get(28..32)? == target.octets();
    let owner = frame.get(22..28)?.try_into().ok()?;
    (is_reply && is_for_target).then_some(owner)
}

/// The replies so far.
#[derive(Debug)]
struct Seen {
    requests: u64,
    last_reply: Instant,
    longest_gap: Duration,
    /// Who replied since the last request.
    repliers: BTreeSet<MacAddr>,
    /// Requests that more than one replied to.
    doubled: u32,
    owners: BTreeSet<MacAddr>,
}

impl Seen {
    fn new() -> Self {
        Self {
            requests: 0,
            last_reply: Instant::now(),
            longest_gap: Duration::ZERO,
            repliers: BTreeSet::new(),
            doubled: 0,
            owners: BTreeSet::new(),
        }
    }

    fn asked(&mut self) {
        self.requests += 1;
        self.repliers.clear();
    }

    fn replied(&mut self, owner: MacAddr) {
        self.longest_gap = self.longest_gap.max(self.last_reply.elapsed());
        self.last_reply = Instant::now();
        self.owners.insert(owner);
        if self.repliers.insert(owner) && self.repliers.len() == 2 {
            self.doubled += 1;
        }
    }

    fn resolution(&self) -> Resolution {
        Resolution {
            requests: self.requests,
            longest_gap_us: micros(self.longest_gap.max(self.last_reply.elapsed())),
            doubled_us: micros(INTERVAL * self.doubled),
            owners: self.owners.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 240);

    #[test]
    fn a_reply_names_its_owner_and_a_request_does_not() {
        let own = Ipv4Addr::new(192, 168, 100, 10);
        let mut frame = request([2; 6], own, TARGET);
        assert_eq!(replied(&frame, own), None, "a request");
        frame[21] = 2;
        assert_eq!(replied(&frame, own), Some([2; 6]));
        assert_eq!(replied(&frame, TARGET), None, "somebody else's address");
        assert_eq!(replied(&frame[..20], own), None);
    }

    #[test]
    fn two_that_answer_one_request_are_counted_once() {
        let mut seen = Seen::new();
        seen.asked();
        seen.replied([1; 6]);
        seen.asked();
        for owner in [[1; 6], [2; 6], [1; 6], [3; 6]] {
            seen.replied(owner);
        }
        let resolution = seen.resolution();
        assert_eq!((resolution.requests, resolution.owners, resolution.doubled_us), (2, 3, 5_000));
    }
}
