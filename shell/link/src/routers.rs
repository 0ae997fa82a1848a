//! Who the router behind an interface is: found by Router Discovery, for BGP peers that have no address.
//!
//! One task, with a packet socket on each interface that is wanted, as for all of Neighbor Discovery
//! (docs/adr/0007-speak-ndp-through-packet-sockets.md):
//!
//! ```text
//!  links::follow ──watch──> ┌──────┐
//!  wanted ─────────watch──> │ task │ ──watch──> the routers
//!  packet sockets <─frames─>└──────┘
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::future::{self, poll_fn};
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::task::Poll;
use std::time::Duration;

use ferrolb_l2::RouterDiscovery;
use ferrolb_l2::router_discovery::SOLICITED_GROUP;
use ferrolb_telemetry::{RateLimit, chain, clock};
use ferrolb_vocab::{Instant, InterfaceName, Link, LinkFlag, MacAddr};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::driver::sleep_to;
use crate::multicast::{JoinError, Memberships};
use crate::packet::{Frames, OpenError, PacketSocket, Received};

/// The link-local address of the router behind each interface, as far as it has been heard since the
/// interface has a carrier.
pub type Routers = BTreeMap<InterfaceName, Ipv6Addr>;

/// Follows who the routers behind the interfaces in `wanted` are, and advertises this host to them.
///
/// The task ends when all receivers are dropped, or a sender.
#[must_use]
pub fn follow(
    links: watch::Receiver<Vec<Link>>,
    wanted: watch::Receiver<BTreeSet<InterfaceName>>,
) -> watch::Receiver<Routers> {
    let (routers, receiver) = watch::channel(Routers::new());
    let log = RateLimit::new(LOG_INTERVAL);
    let driver = Driver { links, wanted, routers, ends: BTreeMap::new(), retry_at: None, log };
    tokio::spawn(driver.run());
    receiver
}

struct Driver {
    links: watch::Receiver<Vec<Link>>,
    wanted: watch::Receiver<BTreeSet<InterfaceName>>,
    routers: watch::Sender<Routers>,
    /// No more than are wanted.
    ends: BTreeMap<InterfaceName, End>,
    /// When to open again what was refused or has failed.
    retry_at: Option<Instant>,
    log: RateLimit,
}

/// This end of a link.
struct End {
    index: u32,
    discovery: RouterDiscovery,
    socket: PacketSocket,
    /// Of other routers: there may be any number of them, or of whoever says so.
    log: RateLimit,
    /// Of the group that solicitations come to.
    _memberships: Memberships,
}

/// Why a link's other end cannot be heard.
#[derive(Debug, thiserror::Error)]
enum ListenError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Join(#[from] JoinError),
    #[error("receiving on {interface}")]
    Receive {
        interface: InterfaceName,
        #[source]
        source: io::Error,
    },
}

impl Driver {
    async fn run(mut self) {
        loop {
            let now = clock::now();
            self.look(now);
            self.turn(now);
            self.publish();
            let timers = self.ends.values().map(|end| end.discovery.poll_timeout());
            let due = timers.chain(self.retry_at).min();
            tokio::select! {
                changed = self.links.changed() => if changed.is_err() { return },
                changed = self.wanted.changed() => if changed.is_err() { return },
                () = readable(&self.ends) => {}
                () = sleep_to(due) => {}
                () = self.routers.closed() => return,
            }
        }
    }

    /// Looks which links there are. One that has lost its carrier, or is another than before, is forgotten
    /// with its router.
    fn look(&mut self, now: Instant) {
        let links = self.links.borrow_and_update().clone();
        let wanted = self.wanted.borrow_and_update().clone();
        let usable = |name: &InterfaceName| {
            let link = links.iter().find(|link| link.name == *name)?;
            Some((link.index, own_addresses(link)?))
        };
        self.ends.retain(|name, end| {
            wanted.contains(name) && usable(name) == Some((end.index, end.discovery.own()))
        });
        if self.retry_at.is_some_and(|due| due > now) {
            return;
        }
        self.retry_at = None;
        for name in &wanted {
            let Some((index, own)) = usable(name).filter(|_| !self.ends.contains_key(name)) else {
                continue;
            };
            match End::open((name, index), own, now) {
                Ok(end) => drop(self.ends.insert(name.clone(), end)),
                Err(error) => self.fail(&error, now),
            }
        }
    }

    /// Hears and sends.
    fn turn(&mut self, now: Instant) {
        let mut buffer = [0; FRAME_MAX];
        let mut failed = None;
        self.ends.retain(|name, end| match end.turn(name, &mut buffer, now) {
            Ok(()) => true,
            Err(source) => {
                failed = Some(ListenError::Receive { interface: name.clone(), source });
                false
            }
        });
        if let Some(error) = failed {
            self.fail(&error, now);
        }
    }

    fn fail(&mut self, error: &ListenError, now: Instant) {
        self.retry_at = Some(now + RETRY);
        if let Some(suppressed) = self.log.admit(now) {
            warn!(
                error = %chain(error), suppressed,
                "the router of an unnumbered BGP peer is not heard; it is tried again"
            );
        }
    }

    fn publish(&self) {
        let router = |(name, end): (&InterfaceName, &End)| Some((name.clone(), end.discovery.router()?));
        let routers: Routers = self.ends.iter().filter_map(router).collect();
        self.routers.send_if_modified(|known| {
            let is_new = *known != routers;
            *known = routers;
            is_new
        });
    }
}

impl End {
    fn open(
        (interface, index): (&InterfaceName, u32),
        (address, mac): (Ipv6Addr, MacAddr),
        now: Instant,
    ) -> Result<Self, ListenError> {
        let socket = PacketSocket::open(interface, index, Frames::RouterDiscovery)?;
        let mut memberships = Memberships::new(interface.clone(), index);
        memberships.set(&[SOLICITED_GROUP].into())?;
        let discovery = RouterDiscovery::new(address, mac, now);
        let log = RateLimit::new(LOG_INTERVAL);
        Ok(Self { index, discovery, socket, log, _memberships: memberships })
    }

    fn turn(&mut self, interface: &InterfaceName, buffer: &mut [u8], now: Instant) -> io::Result<()> {
        let Self { discovery, socket, log, .. } = self;
        let before = (discovery.router(), discovery.other());
        for _ in 0..RECEIVE_BATCH {
            match socket.try_receive(buffer)? {
                Received::Frame(length) => {
                    discovery.handle_packet(buffer.get(..length).unwrap_or_default(), now);
                }
                Received::OfOtherLink => {}
                Received::Nothing => break,
            }
        }
        while let Some(frame) = discovery.handle_timeout(now) {
            // What is not sent is sent again at the next interval.
            drop(socket.try_send(&frame));
        }
        let (router, other) = (discovery.router(), discovery.other());
        if let Some(router) = router.filter(|_| router != before.0) {
            info!(%interface, ip = %router, "the router of an unnumbered BGP peer is heard");
        }
        if let Some(other) = other.filter(|_| other != before.1)
            && let Some(suppressed) = log.admit(now)
        {
            warn!(
                %interface, ip = %other, suppressed,
                "another router is on the link of an unnumbered BGP peer; it is ignored"
            );
        }
        Ok(())
    }
}

/// What an interface sends from, if it can: its link-local address, which has to be valid, and its hardware
/// address.
fn own_addresses(link: &Link) -> Option<(Ipv6Addr, MacAddr)> {
    if !(link.is(LinkFlag::Up) && link.is(LinkFlag::Carrier)) {
        return None;
    }
    let link_local = link.addresses.iter().find_map(|own| match own.address {
        IpAddr::V6(address) if address.is_unicast_link_local() => Some(address),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    });
    link_local.zip(link.mac)
}

async fn readable(ends: &BTreeMap<InterfaceName, End>) {
    if ends.is_empty() {
        future::pending().await
    }
    poll_fn(|cx| match ends.values().any(|end| end.socket.poll_readable(cx).is_ready()) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

/// How soon a socket that was refused or has failed is opened again.
const RETRY: Duration = Duration::from_secs(1);

/// How often failures are logged.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Frames read from a socket before another gets its turn.
const RECEIVE_BATCH: usize = 64;

/// Octets kept of a frame: an Ethernet frame without jumbo, which no advertisement needs.
const FRAME_MAX: usize = 1514;
