//! How sessions are, for `ferrolb bgp sessions` and `received`. No IO.

use std::collections::BTreeMap;
use std::sync::Arc;

use ferrolb_peering::BgpView;
use ferrolb_peering::bfd::SessionStatus;
use ferrolb_peering::bgp::PeerStatus;
use ferrolb_telemetry::chain;
use ferrolb_vocab::ObjectName;

use super::{Inspector, KnownPeer};
use crate::bgp_command::answer::{LastError, Received, Session};
use crate::speaker::peering::{WallClock, range_status, session_status};

/// The sessions with these peers, by name.
pub(super) fn sessions(asked: &BTreeMap<&ObjectName, &KnownPeer>, inspector: &Inspector) -> Vec<Session> {
    let BgpView { peers: heard, ranges } = inspector.bgp_view.borrow().clone();
    let paths = Arc::clone(&inspector.bfd_view.borrow().sessions);
    let session = |(name, known): (&&ObjectName, &&KnownPeer)| {
        let heard = heard.get(*name);
        let bfd = match known {
            KnownPeer::Possible { path, .. } => path.as_ref().and_then(|path| paths.get(path)),
            KnownPeer::Impossible(_) => None,
        };
        let range = ranges.get(*name).map(|range| KnownPeer::Impossible(Box::new(range_status(range))));
        session(name, range.as_ref().unwrap_or(known), (heard, bfd), &inspector.clock)
    };
    asked.iter().map(session).collect()
}

fn session(
    name: &ObjectName,
    known: &KnownPeer,
    (heard, bfd): (Option<&PeerStatus>, Option<&SessionStatus>),
    clock: &WallClock,
) -> Session {
    let (address, asn, status) = match known {
        KnownPeer::Possible { remote, asn, .. } => {
            (Some(remote.to_string()), *asn, session_status(heard, bfd, clock))
        }
        KnownPeer::Impossible(status) => (None, None, status.as_ref().clone()),
    };
    let counted = heard.map(|heard| [heard.session.ipv4, heard.session.ipv6]);
    let [advertised, pending] = counted
        .map_or([0, 0], |[ipv4, ipv6]| [ipv4.advertised + ipv6.advertised, ipv4.pending + ipv6.pending]);
    let agreed = heard.and_then(|heard| heard.session.negotiated.as_deref());
    Session {
        peer: name.to_string(),
        address,
        asn: agreed.map(|agreed| agreed.remote_asn).or(asn).map(|asn| asn.0),
        last_error: match heard {
            Some(heard) => last_error(heard, clock),
            None => status.reason.clone().zip(status.message.clone()).map(|(reason, message)| LastError {
                at: None,
                reason,
                message,
            }),
        },
        status,
        advertised,
        pending,
        received: heard.map(received).unwrap_or_default(),
    }
}

/// Why there is no session now, or why the last one ended.
fn last_error(PeerStatus { session, error, .. }: &PeerStatus, clock: &WallClock) -> Option<LastError> {
    if let Some(error) = error {
        return Some(LastError {
            at: None,
            reason: error.reason().to_owned(),
            message: chain(error).to_string(),
        });
    }
    let lost = session.last_lost.as_ref()?;
    Some(LastError {
        at: Some(clock.time(lost.at)),
        reason: lost.reason.reason().to_owned(),
        message: lost.reason.to_string(),
    })
}

fn received(PeerStatus { session, .. }: &PeerStatus) -> Received {
    let routes = &session.routes;
    Received {
        updates: session.received.update,
        reachable: routes.reachable,
        withdrawn: routes.withdrawn,
        treated_as_withdraw: routes.treated_as_withdraw,
        attributes_discarded: routes.attributes_discarded,
        looped: routes.looped,
        end_of_rib: routes.end_of_rib.iter().map(|family| family.name().to_owned()).collect(),
    }
}
