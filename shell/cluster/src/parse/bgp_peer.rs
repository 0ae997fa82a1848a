//! `BGPPeer` objects.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use ferrolb_api::BgpPeer;
use ferrolb_api::annotations::{LISTEN_RANGE, PASSIVE};
use ferrolb_api::bgp_peer::{BgpPeerSpec, DynamicAsn};
use ferrolb_plan as plan;
use ferrolb_plan::bgp::{Endpoint, ListenRange, Password, RemoteAsn, Timers};
use ferrolb_vocab::{Asn, BgpId, IpFamily, ObjectName};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;

use super::pool::selectors;
use super::{INVALID_SPEC, ObjectError, UNKNOWN_REFERENCE, duration};

/// What peers refer to by name, in their own namespace.
#[derive(Clone, Copy, Debug)]
pub struct References<'a> {
    /// The valid profiles.
    pub profiles: &'a BTreeMap<ObjectName, plan::BfdProfile>,
    /// The Secrets; `None` for who may not read them: then no peer has the password of one.
    pub secrets: Option<&'a BTreeMap<ObjectName, Arc<Secret>>>,
}

/// The Secret's type.
const BASIC_AUTH: &str = "kubernetes.io/basic-auth";
/// The key of its data.
pub(crate) const PASSWORD: &str = "password";
/// The Secret is there, and holds no password.
pub const INVALID_SECRET: &str = "InvalidSecret";

/// The peer as the plan sees it. Without `references` it has neither BFD nor the password of a Secret:
/// who judges objects in whatever order cannot know which are to come.
///
/// # Errors
/// The first field that means nothing; after all others, what it refers to and there is not.
pub fn bgp_peer(object: &BgpPeer, references: Option<&References<'_>>) -> Result<plan::BgpPeer, ObjectError> {
    let peer = parse(object).map_err(|message| ObjectError::at(object, INVALID_SPEC, message))?;
    match references {
        None => Ok(peer),
        Some(references) => referring(object, peer, references)
            .map_err(|(reason, message)| ObjectError::at(object, reason, message)),
    }
}

fn parse(object: &BgpPeer) -> Result<plan::BgpPeer, String> {
    let spec = &object.spec;
    if spec.my_asn == 0 {
        return Err("missing local ASN: write the AS number of this cluster's end of the session".into());
    }
    let remote = remote(spec)?;
    if spec.ebgp_multi_hop == Some(true) && spec.peer_asn == Some(spec.my_asn) {
        return Err(
            "invalid ebgp-multihop parameter set for an ibgp peer: remove ebgpMultiHop, or correct peerASN"
                .into(),
        );
    }
    let local_asn = spec.local_asn.map(Asn);
    if local_asn == Some(Asn(0)) {
        return Err("spec.localASN: expected 1 to 4294967295, found 0".into());
    }
    let endpoint = endpoint(object)?;
    let source_address = address("spec.sourceAddress: invalid source IP", given(&spec.source_address))?;
    if let Some(source) = source_address {
        check_source(source, &endpoint)?;
    }
    let timers = Timers::complete(
        time("holdTime", given(&spec.hold_time))?,
        time("keepaliveTime", given(&spec.keepalive_time))?,
        time("connectTime", given(&spec.connect_time))?,
    );
    Ok(plan::BgpPeer {
        my_asn: Asn(spec.my_asn),
        remote,
        local_asn,
        source_address,
        // v1beta1 allows 0, which means the same.
        port: if spec.peer_port == 0 { BGP_PORT } else { spec.peer_port },
        passive: passive(object, &endpoint)?,
        timers: timers.map_err(|error| error.to_string())?,
        router_id: router_id(given(&spec.router_id))?,
        node_selectors: selectors("spec.nodeSelectors", &spec.node_selectors)?,
        password: inline_password(spec)?,
        bfd: None,
        graceful_restart: spec.enable_graceful_restart.unwrap_or(false),
        ebgp_multihop: spec.ebgp_multi_hop.unwrap_or(false),
        vrf: given(&spec.vrf).map(Into::into),
        dual_stack: spec.dual_stack_address_family,
        endpoint,
    })
}

/// Whether all connections can have this end.
fn check_source(source: IpAddr, endpoint: &Endpoint) -> Result<(), String> {
    let family = IpFamily::of(source);
    let (place, other) = match endpoint {
        Endpoint::Address(peer) => ("peerAddress", Some(IpFamily::of(*peer))),
        Endpoint::Interface(_) => ("interface", None),
        Endpoint::Range(range) => {
            let other =
                [IpFamily::V4, IpFamily::V6].into_iter().find(|one| *one != family && range.has(*one));
            ("the listen range", other)
        }
    };
    match other.filter(|other| *other != family) {
        None => Ok(()),
        Some(other) => Err(format!(
            "spec.sourceAddress: invalid source IP \"{source}\": it is {family} and {place} is {other}; write one \
             of the same family"
        )),
    }
}

/// Whether an annotation of ours has this side only listen, which is all that it can where nobody has written
/// down whom to connect to. One that says neither is no wish to connect.
fn passive(object: &BgpPeer, endpoint: &Endpoint) -> Result<bool, String> {
    let is_range = matches!(endpoint, Endpoint::Range(_));
    match object.annotations().get(PASSIVE).map(String::as_str) {
        None => Ok(is_range),
        Some("false") if !is_range => Ok(false),
        Some("true") => Ok(true),
        Some("false") => Err(format!(
            "metadata.annotations[{PASSIVE}]: peers of {LISTEN_RANGE} connect themselves; remove one of the two"
        )),
        Some(other) => Err(format!(
            "metadata.annotations[{PASSIVE}]: expected \"true\" or \"false\", found {other:?}; correct it, \
             or remove it"
        )),
    }
}

fn remote(spec: &BgpPeerSpec) -> Result<RemoteAsn, String> {
    match (spec.peer_asn.filter(|asn| *asn != 0), spec.dynamic_asn) {
        (Some(asn), None) => Ok(RemoteAsn::Exactly(Asn(asn))),
        (None, Some(DynamicAsn::Internal)) => Ok(RemoteAsn::Internal),
        (None, Some(DynamicAsn::External)) => Ok(RemoteAsn::External),
        (None, None) => {
            Err("missing peer ASN and dynamicASN: set peerASN, or dynamicASN to internal or external".into())
        }
        (Some(_), Some(_)) => Err("both peer ASN and dynamicASN specified: remove one of them".into()),
    }
}

fn endpoint(object: &BgpPeer) -> Result<Endpoint, String> {
    let spec = &object.spec;
    let address = address("spec.peerAddress: invalid BGPPeer address", given(&spec.peer_address))?;
    match (address, given(&spec.interface), listen_range(object)?) {
        (Some(address), None, None) => Ok(Endpoint::Address(address)),
        (None, Some(interface), None) => Ok(Endpoint::Interface(interface.into())),
        (Some(address), None, Some(range)) if range.contains(address) => Ok(Endpoint::Range(range)),
        (None, None, _) => {
            Err("peer has no Address or Interface specified: set peerAddress, or interface".into())
        }
        (Some(_), Some(_), _) => {
            Err("peer has both Address and Interface specified: remove one of them".into())
        }
        (Some(address), None, Some(_)) => Err(format!(
            "spec.peerAddress: {address} is not in {LISTEN_RANGE}; write any address of the range, which stands for all"
        )),
        (None, Some(_), Some(_)) => Err(format!(
            "spec.interface: peers of {LISTEN_RANGE} are told by their addresses; write one of the range in \
             spec.peerAddress instead, which stands for all"
        )),
    }
}

/// The addresses that an annotation of ours has peers connect from.
fn listen_range(object: &BgpPeer) -> Result<Option<ListenRange>, String> {
    let written = object.annotations().get(LISTEN_RANGE);
    let parse = |text: &String| {
        let range = text.parse::<ListenRange>();
        range.map_err(|error| format!("metadata.annotations[{LISTEN_RANGE}]: {error}"))
    };
    written.map(parse).transpose()
}

/// A field that is empty is as if it were not there.
fn given(field: &Option<String>) -> Option<&str> {
    field.as_deref().filter(|text| !text.is_empty())
}

/// An address; `problem` opens the message.
fn address(problem: &str, written: Option<&str>) -> Result<Option<IpAddr>, String> {
    let parse = |text: &str| {
        let address = text.parse::<IpAddr>();
        address.map_err(|_shape| format!("{problem} {text:?}: write one IPv4 or IPv6 address"))
    };
    Ok(written.map(parse).transpose()?.map(|address| address.to_canonical()))
}

fn router_id(written: Option<&str>) -> Result<Option<BgpId>, String> {
    let Some(text) = written else { return Ok(None) };
    let id = text.parse::<Ipv4Addr>().ok().and_then(BgpId::from_ipv4);
    id.map(Some).ok_or_else(|| {
        format!("spec.routerID: invalid router ID {text:?}: write it like an IPv4 address other than 0.0.0.0")
    })
}

fn time(field: &str, written: Option<&str>) -> Result<Option<Duration>, String> {
    let parse = |text| {
        duration::parse(text).ok_or_else(|| {
            format!("spec.{field}: {text:?} is not a duration: write a number and a unit, like 90s or 1m30s")
        })
    };
    written.map(parse).transpose()
}

fn inline_password(spec: &BgpPeerSpec) -> Result<Option<Password>, String> {
    match (given(&spec.password), secret_name(spec)) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err("both password and passwordSecret specified: remove one of them".into()),
        (Some(text), None) => {
            password(text.as_bytes()).map(Some).map_err(|why| format!("spec.password: {why}"))
        }
    }
}

fn password(octets: &[u8]) -> Result<Password, String> {
    Password::new(octets)
        .ok_or_else(|| format!("TCP-MD5 takes 1 to {} octets, found {}", Password::LENGTH_MAX, octets.len()))
}

fn secret_name(spec: &BgpPeerSpec) -> Option<&str> {
    spec.password_secret.as_ref().and_then(|secret| given(&secret.name))
}

/// The peer with what it refers to.
fn referring(
    object: &BgpPeer,
    mut peer: plan::BgpPeer,
    references: &References<'_>,
) -> Result<plan::BgpPeer, (&'static str, String)> {
    let namespace = object.namespace().unwrap_or_default();
    let name = object.name_any();
    if let Some(profile) = given(&object.spec.bfd_profile) {
        let known = references.profiles.get(&ObjectName::new(namespace.as_str(), profile));
        let known = known.ok_or_else(|| {
            let what = format!(
                "peer {name} referencing non existing bfd profile {profile}; create BFDProfile \
                 {namespace}/{profile}, or correct it"
            );
            (UNKNOWN_REFERENCE, what)
        });
        peer.bfd = Some(*known?);
    }
    if let (Some(secret), Some(secrets)) = (secret_name(&object.spec), references.secrets) {
        let known = secrets.get(&ObjectName::new(namespace.as_str(), secret));
        let failed = |(reason, what): (_, String)| {
            (reason, format!("parsing peer {name} {what}\nfailed to parse peer {name} password secret"))
        };
        let missing = || {
            let what = format!("secret ref not found for peer config \"{namespace}\"/\"{name}\"");
            failed((UNKNOWN_REFERENCE, what))
        };
        let known = known.ok_or_else(missing)?;
        peer.password = Some(password_in(&format!("\"{namespace}\"/\"{secret}\""), known).map_err(failed)?);
    }
    Ok(peer)
}

/// The password in a Secret. Nothing that is in the Secret goes into a message.
fn password_in(name: &str, secret: &Secret) -> Result<Password, (&'static str, String)> {
    let invalid = |what: String| (INVALID_SECRET, what);
    if secret.type_.as_deref() != Some(BASIC_AUTH) {
        // The blank at the end is MetalLB's.
        return Err(invalid(format!("secret type mismatch on {name}, type {BASIC_AUTH:?} is expected ")));
    }
    let octets = secret.data.as_ref().and_then(|data| data.get(PASSWORD));
    let octets = octets.ok_or_else(|| invalid(format!("password not specified in the secret {name}")))?;
    password(&octets.0).map_err(|why| invalid(format!("password in the secret {name}: {why}")))
}

/// RFC 4271 §8.2.1.
const BGP_PORT: u16 = 179;

#[cfg(test)]
mod tests;
