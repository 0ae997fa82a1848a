//! From what an operator wants of a peer to what the drivers are to do. No IO.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU8, NonZeroU16};
use std::time::Duration;

use ferrolb_bfd as bfd;
use ferrolb_bgp::{
    BfdPolicy, Config, GracefulRestartConfig, HoldTime, RemoteAsn, Role, Transitivity, Transport,
};
use ferrolb_peering::bfd::SessionPath;
use ferrolb_peering::bgp::{Password, TransportOptions};
use ferrolb_plan::bgp::{self as plan, BfdProfile, BgpPeer, Endpoint};
use ferrolb_vocab::IpFamily;
use ferrolb_wire::bfd::Interval;
use ferrolb_wire::bgp::{Families, Family};

use super::host::Host;

/// How long a peer keeps the routes of a speaker that restarts, in seconds: with FRR, and so with MetalLB,
/// as long.
pub(super) const RESTART_TIME: u16 = 120;

/// What the drivers are to do about a peer, whatever it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sought {
    pub(super) config: Config,
    pub(super) options: TransportOptions,
    pub(super) bfd: Option<(SessionPath, bfd::Config)>,
}

/// Why there can be no session with a peer, whatever happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CannotPeer {
    /// It has an interface and no address.
    Unnumbered,
}

impl CannotPeer {
    /// The stable name of the reason.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::Unnumbered => "UnnumberedNotSupported",
        }
    }
}

impl fmt::Display for CannotPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unnumbered => f.write_str(
                "spec.interface: a peer without an address cannot be found yet; set spec.peerAddress in its place",
            ),
        }
    }
}

/// What the drivers are to do about `peer` on `host`, which `forwards` as before its speaker restarted.
///
/// # Errors
/// There can be no session.
pub(super) fn sought(peer: &BgpPeer, host: &Host<'_>, forwards: bool) -> Result<Sought, CannotPeer> {
    let address = match &peer.endpoint {
        Endpoint::Address(address) => *address,
        Endpoint::Interface(_) => return Err(CannotPeer::Unnumbered),
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
        transport: Transport {
            remote: SocketAddr::new(address, peer.port),
            source: peer.source_address,
            interface: peer.vrf.clone(),
        },
        role: Role::Active,
        families,
        // Over IPv6 this node's own end is the one address that is sure to be on the way to it.
        extended_next_hop: families.ipv4 && IpFamily::of(address) == IpFamily::V6,
        next_hop_ipv4: host.next_hop_ipv4(address),
        next_hop_ipv6: host.next_hop_ipv6(address),
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
        listen_port: None,
    };
    let bfd = peer.bfd.as_ref().map(|profile| (path(peer, address, host), bfd_config(profile)));
    Ok(Sought { config, options, bfd })
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

/// As routers choose it: over several hops where the operator says so of an external peer, or an internal
/// one is on none of the node's links.
fn path(peer: &BgpPeer, address: IpAddr, host: &Host<'_>) -> SessionPath {
    SessionPath {
        peer: address,
        local: peer.source_address,
        interface: peer.vrf.clone(),
        is_multihop: if is_internal(peer) { !host.is_on_link(address) } else { peer.ebgp_multihop },
    }
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
