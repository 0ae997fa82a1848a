//! Whether the default gateways answer: found by netlink, asked by ARP and Neighbor Discovery.

use std::future::{self, poll_fn};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::task::Poll;
use std::time::Duration;

use ferrolb_l2::{Gateway, GatewayProbe, Protocol};
use ferrolb_telemetry::{chain, clock};
use ferrolb_vocab::{Instant, IpFamily, Link, LinkFlag};
use futures::TryStreamExt;
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage};
use rtnetlink::{RouteMessageBuilder, new_connection};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};
use tracing::{debug, info, warn};

use crate::packet::{PacketSocket, Received};

/// Follows whether the default gateway of each family answers: since when all are silent that used to
/// answer, `None` if one answers or none ever did.
///
/// They are asked rarely, and twice a second while `is_urgent`. The task ends when all receivers are
/// dropped.
#[must_use]
pub fn follow(
    links: watch::Receiver<Vec<Link>>,
    is_urgent: watch::Receiver<bool>,
) -> watch::Receiver<Option<Instant>> {
    let (silent_since, receiver) = watch::channel(None);
    let gateways = Gateways { links, is_urgent, silent_since, asked: Vec::new(), look_at: clock::now() };
    tokio::spawn(gateways.run());
    receiver
}

struct Gateways {
    links: watch::Receiver<Vec<Link>>,
    is_urgent: watch::Receiver<bool>,
    silent_since: watch::Sender<Option<Instant>>,
    /// One of each family at most.
    asked: Vec<Asked>,
    /// When to look at the routes again.
    look_at: Instant,
}

struct Asked {
    probe: GatewayProbe,
    socket: PacketSocket,
}

impl Gateways {
    async fn run(mut self) {
        while !self.silent_since.is_closed() {
            let now = clock::now();
            if self.look_at <= now {
                self.look_at = now + ROUTES_INTERVAL;
                self.look().await;
            }
            self.turn(clock::now());
            let due = self.asked.iter().map(|asked| asked.probe.poll_timeout());
            let due = due.chain([self.look_at]).min().unwrap_or(self.look_at);
            tokio::select! {
                changed = self.links.changed() => match changed {
                    Ok(()) => self.look_at = clock::now(),
                    Err(_ended) => return,
                },
                changed = self.is_urgent.changed() => if changed.is_err() { return },
                () = readable(&self.asked) => {}
                () = self.silent_since.closed() => return,
                () = sleep_until(clock::to_std(due).into()) => {}
            }
        }
    }

    /// Hears and asks.
    fn turn(&mut self, now: Instant) {
        let is_urgent = *self.is_urgent.borrow_and_update();
        let mut buffer = [0; FRAME_MAX];
        self.asked.retain_mut(|Asked { probe, socket }| {
            for _ in 0..RECEIVE_BATCH {
                match socket.try_receive(&mut buffer) {
                    Ok(Received::Frame(length)) => {
                        probe.handle_packet(buffer.get(..length).unwrap_or(&buffer), now);
                    }
                    Ok(Received::OfOtherLink) => {}
                    Ok(Received::Nothing) => break,
                    // It is opened again when the routes are looked at.
                    Err(_gone) => return false,
                }
            }
            probe.set_urgent(is_urgent, now);
            if let Some(frame) = probe.handle_timeout(now) {
                // A question that is not sent is not answered, which is what counts.
                drop(socket.try_send(&frame));
            }
            true
        });
        let silent: Option<Vec<Instant>> = self.answering().map(GatewayProbe::silent_since).collect();
        let silent_since = silent.and_then(|silent| silent.into_iter().max());
        self.silent_since.send_if_modified(|known| {
            match (*known, silent_since) {
                (None, Some(_)) => warn!("the default gateway does not answer any more"),
                (Some(_), None) => info!("the default gateway answers again, or another takes its place"),
                (None, None) | (Some(_), Some(_)) => {}
            }
            let is_new = *known != silent_since;
            *known = silent_since;
            is_new
        });
    }

    /// Those that ever answered.
    fn answering(&self) -> impl Iterator<Item = &GatewayProbe> {
        self.asked.iter().map(|asked| &asked.probe).filter(|probe| probe.has_answered())
    }

    /// Looks which gateways there are.
    async fn look(&mut self) {
        let links = self.links.borrow_and_update().clone();
        let mut found = Vec::new();
        for family in [IpFamily::V4, IpFamily::V6] {
            let looked = timeout(ROUTE_TIMEOUT, default_route(family)).await;
            let Ok(Some((index, address))) = looked else { continue };
            found.extend(gateway(&links, index, address).map(|(link, gateway)| (link.clone(), gateway)));
        }
        self.asked.retain(|asked| found.iter().any(|(_, gateway)| *gateway == asked.probe.gateway()));
        for (link, gateway) in found {
            if self.asked.iter().any(|asked| asked.probe.gateway() == gateway) {
                continue;
            }
            let protocol = Protocol::from(IpFamily::of(gateway.address));
            match PacketSocket::open(&link.name, link.index, protocol.into()) {
                Ok(socket) => {
                    debug!(ip = %gateway.address, interface = %link.name, "the default gateway is asked whether it is there");
                    let probe = GatewayProbe::new(gateway, clock::now());
                    self.asked.push(Asked { probe, socket });
                }
                Err(error) => debug!(error = %chain(&error), "the default gateway cannot be asked"),
            }
        }
    }
}

async fn readable(asked: &[Asked]) {
    if asked.is_empty() {
        future::pending().await
    }
    poll_fn(|cx| match asked.iter().any(|asked| asked.socket.poll_readable(cx).is_ready()) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

/// The gateway at `address`, and who asks it through the interface of this `index`.
fn gateway(links: &[Link], index: u32, address: IpAddr) -> Option<(&Link, Gateway)> {
    let link = links.iter().find(|link| link.index == index && link.is(LinkFlag::Carrier))?;
    let own = link.addresses.iter().find(|own| own.prefix.contains(address))?.address;
    Some((link, Gateway { address, own, mac: link.mac? }))
}

/// The interface and the gateway to everywhere: the kernel's route to an address that is nobody's (RFC 5737,
/// RFC 3849).
async fn default_route(family: IpFamily) -> Option<(u32, IpAddr)> {
    let (connection, handle, _notifications) = new_connection().ok()?;
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let message = match family {
        IpFamily::V4 => RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(NOBODY_V4, 32).build(),
        IpFamily::V6 => RouteMessageBuilder::<Ipv6Addr>::new().destination_prefix(NOBODY_V6, 128).build(),
    };
    let route = handle.route().get(message).execute().try_next().await.ok()??;
    parse_route(&route)
}

fn parse_route(message: &RouteMessage) -> Option<(u32, IpAddr)> {
    let mut index = None;
    let mut gateway = None;
    for attribute in &message.attributes {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the kernel tells far more than is needed")]
        match attribute {
            RouteAttribute::Oif(output) => index = Some(*output),
            RouteAttribute::Gateway(RouteAddress::Inet(address)) => gateway = Some(IpAddr::V4(*address)),
            RouteAttribute::Gateway(RouteAddress::Inet6(address)) => gateway = Some(IpAddr::V6(*address)),
            _ => {}
        }
    }
    index.zip(gateway)
}

/// TEST-NET-1.
const NOBODY_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// Of the prefix for documentation.
const NOBODY_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

/// How often the routes are looked at; a change of an interface is noticed at once.
const ROUTES_INTERVAL: Duration = Duration::from_secs(10);

/// The kernel answers at once; one that does not has lost the question.
const ROUTE_TIMEOUT: Duration = Duration::from_secs(1);

/// Frames read from a socket before the other gets its turn.
const RECEIVE_BATCH: usize = 64;

/// Octets kept of a frame: neither protocol needs a tenth of it.
const FRAME_MAX: usize = 1514;
