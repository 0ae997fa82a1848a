//! From what an operator wants of a peer to what the drivers are to do. No IO.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::num::{NonZeroU8, NonZeroU16};
use std::time::Duration;

use ferrolb_bfd as bfd;
use ferrolb_bgp::{
    BfdPolicy, Config, GracefulRestartConfig, HoldTime, RemoteAsn, Role, Transitivity, Transport,
};
use ferrolb_peering::bfd::SessionPath;
use ferrolb_peering::bgp::{Password, TransportOptions};
use ferrolb_plan::bgp::{self as plan, BfdProfile, BgpPeer, Endpoint};
use ferrolb_vocab::InterfaceName;
use ferrolb_wire::bfd::Interval;
use ferrolb_wire::bgp::{Families, Family};

use super::host::{Host, has_link_local, next_hops_on};

/// How long a peer keeps the routes of a speaker that restarts, in seconds: with FRR, and so with MetalLB,
/// as long.
pub(super) const RESTART_TIME: u16 = 120;

/// What the drivers are to do about a peer, whatever it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sought {
    pub(super) config: Config,
    pub(super) options: TransportOptions,
    pub(super) bfd: Option<(SessionPath, bfd::Config)>,
    /// The interface that the peer is on, or was as long as it was on one.
    via: Option<InterfaceName>,
}

impl Sought {
    /// The interface that the peer is on, if it has gone down since what was to be done `before`.
    pub(super) fn lost_link(&self, before: Option<&Self>) -> Option<&InterfaceName> {
        let was_dead = before.is_some_and(|before| before.options.dead_link.is_some());
        self.options.dead_link.as_ref().filter(|_| !was_dead)
    }
}

/// Why there can be no session with a peer that has no address, before something changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CannotPeer {
    /// The node has no such interface.
    NoInterface,
    /// The interface is down.
    LinkDown,
    /// It could not send to the peer.
    NoLinkLocalAddress,
    /// Nobody was heard on it.
    NoRouter,
    /// It is a range: those that connect from it are peers.
    NoCaller,
}

impl CannotPeer {
    /// The stable name of the reason.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::NoInterface => "InterfaceMissing",
            Self::LinkDown => "LinkDown",
            Self::NoLinkLocalAddress => "NoLinkLocalAddress",
            Self::NoRouter => "NoRouterHeard",
            Self::NoCaller => "NotListening",
        }
    }
}

impl fmt::Display for CannotPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoInterface => {
                "spec.interface: the node has no such interface; correct the name, or leave the node out \
                 with spec.nodeSelectors"
            }
            Self::LinkDown => {
                "spec.interface: it is down or has no carrier; see to its cable, or the router's port"
            }
            Self::NoLinkLocalAddress => {
                "spec.interface: it has no IPv6 link-local address to send from; switch IPv6 on there \
                 (sysctl net.ipv6.conf.<interface>.disable_ipv6)"
            }
            Self::NoRouter => {
                "spec.interface: no router advertisement came in there; the router has to send them (FRR \
                 does with \"neighbor <interface> interface\")"
            }
            Self::NoCaller => "the speaker is about to listen for the peers of the range",
        })
    }
}

/// Where a peer is found.
struct Place {
    remote: SocketAddr,
    /// The interface that it is on.
    via: Option<InterfaceName>,
    /// The addresses of this node that it can send to, where the session itself has none.
    next_hops: (Option<Ipv4Addr>, Option<Ipv6Addr>),
}

/// What the drivers are to do about `peer` on `host`, which `forwards` as before its speaker restarted, and
/// of which they were to do `before`.
///
/// # Errors
/// There can be no session.
pub(super) fn sought(
    peer: &BgpPeer,
    host: &Host<'_>,
    forwards: bool,
    before: Option<&Sought>,
) -> Result<Sought, CannotPeer> {
    let Place { remote, via, next_hops } = match &peer.endpoint {
        Endpoint::Address(address) => numbered(SocketAddr::new(*address, peer.port), host, before),
        Endpoint::Interface(interface) => unnumbered((interface, peer.port), host, before)?,
        Endpoint::Range(_) => return Err(CannotPeer::NoCaller),
    };
    let families: Families = Family::ALL.into_iter().filter(|one| peer.carries(one.ip_family())).collect();
    let restart = GracefulRestartConfig {
        restart_time: RESTART_TIME,
        forwarding: if forwards { families } else { Families::EMPTY },
        notification: true,
    };
    let config = Config {
        local_asn: peer.my_asn,
        local_as: peer.local_asn,
        remote_asn: match peer.remote {
            plan::RemoteAsn::Exactly(asn) => RemoteAsn::Exactly(asn),
            plan::RemoteAsn::Internal => RemoteAsn::Internal,
            plan::RemoteAsn::External => RemoteAsn::External,
        },
        bgp_id: peer.router_id.unwrap_or_else(|| host.bgp_id()),
        transport: Transport { remote, source: peer.source_address, interface: peer.vrf.clone() },
        role: if peer.passive { Role::Passive } else { Role::Active },
        families,
        // Over IPv6 this node's own end is the one address that is sure to be on the way to it.
        extended_next_hop: families.ipv4 && remote.is_ipv6(),
        next_hop_ipv4: next_hops.0,
        next_hop_ipv6: next_hops.1,
        // The peer's times are 0 or at least 3 s.
        hold_time: HoldTime::new(peer.timers.hold_time()).unwrap_or(HoldTime::SUGGESTED),
        keepalive_time: NonZeroU16::new(peer.timers.keepalive_time()),
        connect_retry_time: Duration::from_secs(peer.timers.connect_retry_time().into()),
        graceful_restart: peer.graceful_restart.then_some(restart),
        hostname: Some(host.node.as_str().into()),
        bfd: if peer.bfd.is_some() { BfdPolicy::Follow } else { BfdPolicy::Ignore },
    };
    let options = TransportOptions {
        ttl: ttl(peer),
        password: peer.password.as_ref().map(|password| Password::new(password.octets())),
        min_ttl: None,
        listen_port: NonZeroU16::new(peer.port).filter(|_| peer.passive),
        dead_link: via.clone().filter(|interface| is_on_the_link(peer) && !host.carries(interface)),
    };
    let bfd = peer.bfd.as_ref().map(|profile| (path(peer, remote.ip(), host), bfd_config(profile)));
    Ok(Sought { config, options, bfd, via })
}

/// A peer that has an address. An interface that goes down can take its own address along, and with it the
/// subnet by which the peer was known to be on it.
fn numbered(remote: SocketAddr, host: &Host<'_>, before: Option<&Sought>) -> Place {
    let address = remote.ip();
    let before = || before.filter(|before| before.config.transport.remote.ip() == address)?.via.clone();
    let via = host.way_to(address).map(|link| link.name.clone()).or_else(before);
    Place { remote, via, next_hops: (host.next_hop_ipv4(address), host.next_hop_ipv6(address)) }
}

/// A peer that is the router behind an interface: the one that is heard there, or the one before as long as
/// none is. What it can send to is on that interface alone.
fn unnumbered(
    (interface, port): (&InterfaceName, u16),
    host: &Host<'_>,
    before: Option<&Sought>,
) -> Result<Place, CannotPeer> {
    let link = host.link(interface).ok_or(CannotPeer::NoInterface)?;
    let before = || link_local(before.filter(|before| before.via.as_ref() == Some(interface))?);
    let Some(router) = host.routers.get(interface).copied().or_else(before) else {
        return Err(match (host.carries(interface), has_link_local(link)) {
            (false, _) => CannotPeer::LinkDown,
            (true, false) => CannotPeer::NoLinkLocalAddress,
            (true, true) => CannotPeer::NoRouter,
        });
    };
    let remote = SocketAddrV6::new(router, port, 0, link.index).into();
    Ok(Place { remote, via: Some(interface.clone()), next_hops: next_hops_on(link) })
}

/// The link-local address that was to be connected to.
fn link_local(before: &Sought) -> Option<Ipv6Addr> {
    match before.config.transport.remote.ip() {
        IpAddr::V6(address) if address.is_unicast_link_local() => Some(address),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}

/// How far the weight of a path to `peer` is to travel: to the routers of another AS too, if they are the
/// ones that are told.
pub(super) fn transitivity(peer: &BgpPeer) -> Transitivity {
    if is_internal(peer) { Transitivity::NonTransitive } else { Transitivity::Transitive }
}

/// Whether the peer is in the AS that this side appears to be in.
fn is_internal(peer: &BgpPeer) -> bool {
    match peer.remote {
        plan::RemoteAsn::Exactly(asn) => asn == peer.local_asn.unwrap_or(peer.my_asn),
        plan::RemoteAsn::Internal => true,
        plan::RemoteAsn::External => false,
    }
}

/// An external peer is on the link unless the operator says otherwise.
fn ttl(peer: &BgpPeer) -> NonZeroU8 {
    if is_internal(peer) || peer.ebgp_multihop { NonZeroU8::MAX } else { NonZeroU8::MIN }
}

/// Whether there is no other way to the peer than its link.
fn is_on_the_link(peer: &BgpPeer) -> bool {
    match peer.endpoint {
        Endpoint::Address(_) | Endpoint::Range(_) => ttl(peer) == NonZeroU8::MIN,
        Endpoint::Interface(_) => true,
    }
}

/// As routers choose it: over several hops where the operator says so of an external peer, or an internal
/// one is on none of the node's links.
fn path(peer: &BgpPeer, address: IpAddr, host: &Host<'_>) -> SessionPath {
    let (interface, is_multihop) = match &peer.endpoint {
        Endpoint::Interface(interface) => (Some(interface.clone()), false),
        Endpoint::Address(_) | Endpoint::Range(_) if is_internal(peer) => {
            (peer.vrf.clone(), host.link_to(address).is_none())
        }
        Endpoint::Address(_) | Endpoint::Range(_) => (peer.vrf.clone(), peer.ebgp_multihop),
    };
    SessionPath { peer: address, local: peer.source_address, interface, is_multihop }
}

fn bfd_config(profile: &BfdProfile) -> bfd::Config {
    let interval =
        |time: Duration| Interval::from_millis(u32::try_from(time.as_millis()).unwrap_or(u32::MAX));
    let [transmit, receive] = [profile.transmit_interval, profile.receive_interval].map(interval);
    // A valid profile has no interval that is out of range.
    let timing = bfd::Timing::new(transmit, receive, profile.detect_multiplier).unwrap_or_default();
    let echo = profile.echo_interval.and_then(|echo| timing.with_echo(interval(echo)).ok());
    bfd::Config {
        timing: echo.unwrap_or(timing),
        role: if profile.passive { bfd::Role::Passive } else { bfd::Role::Active },
        minimum_ttl: profile.minimum_ttl,
        authentication: None,
    }
}

#[cfg(test)]
mod tests;
