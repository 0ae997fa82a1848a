//! Peers that connect from a range: what the drivers are to do about ranges and those who have connected,
//! and how that goes. No IO.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;

use ferrolb_api::bgp_session::BgpSessionStatus;
use ferrolb_bgp::State;
use ferrolb_peering::bgp::{CALLERS_MAX, Caller, Password, RangeStatus, WantedRange};
use ferrolb_plan::bgp::{Endpoint, Session, caller};
use ferrolb_telemetry::chain;
use ferrolb_vocab::ObjectName;

/// The state of a range whose peers can connect: no session of its own, which have states of RFC 4271.
pub(super) const LISTENING: &str = "Listening";

/// Who has connected.
pub(super) fn callers(ranges: &BTreeMap<ObjectName, RangeStatus>) -> BTreeSet<Caller> {
    let of_range = |(range, status): (&ObjectName, &RangeStatus)| {
        let caller = |address| Caller { range: range.clone(), address };
        status.callers.iter().copied().map(caller).collect::<Vec<_>>()
    };
    ranges.iter().flat_map(of_range).collect()
}

/// The planned sessions, and those with each caller that still has its range.
pub(super) fn with_callers(
    planned: &BTreeMap<ObjectName, Session>,
    callers: &BTreeSet<Caller>,
) -> BTreeMap<ObjectName, Session> {
    let of_caller = |one: &Caller| Some((one.name(), caller(planned, &one.range, one.address)?));
    let mut sessions = planned.clone();
    sessions.extend(callers.iter().filter_map(of_caller));
    sessions
}

/// The ranges among the planned sessions.
pub(super) fn ranges(planned: &BTreeMap<ObjectName, Session>) -> BTreeMap<ObjectName, WantedRange> {
    let range = |(name, Session { peer, .. }): (&ObjectName, &Session)| {
        let prefixes = match &peer.endpoint {
            Endpoint::Range(range) => range.prefixes().to_vec(),
            Endpoint::Address(_) | Endpoint::Interface(_) => return None,
        };
        let range = WantedRange {
            prefixes,
            source: peer.source_address,
            interface: peer.vrf.clone(),
            port: NonZeroU16::new(peer.port)?,
            password: peer.password.as_ref().map(|password| Password::new(password.octets())),
        };
        Some((name.clone(), range))
    };
    planned.iter().filter_map(range).collect()
}

/// How it is with a range, in the words of a `BGPSession`.
pub(in crate::speaker) fn range_status(range: &RangeStatus) -> BgpSessionStatus {
    let count = range.callers.len();
    let (state, reason, message) = match &range.error {
        Some(error) => (State::Idle.to_string(), Some(error.reason()), chain(error).to_string()),
        None if count >= CALLERS_MAX => (
            LISTENING.to_owned(),
            Some("ListenRangeFull"),
            format!(
                "{count} peers of the range have connected, no more are taken, and {} were refused so far; let \
                 several BGPPeers share the range, or nodes with spec.nodeSelectors",
                range.refused
            ),
        ),
        None => (LISTENING.to_owned(), None, format!("peers of the range that have connected: {count}")),
    };
    BgpSessionStatus {
        state: Some(state),
        reason: reason.map(ToOwned::to_owned),
        message: Some(message),
        ..BgpSessionStatus::default()
    }
}

/// Says in the status of a caller's session whose it is.
pub(super) fn note_caller(name: &ObjectName, status: &mut BgpSessionStatus) {
    if let Some(Caller { range, address }) = Caller::of(name) {
        status.peer = Some(range.name);
        status.caller = Some(address.to_string());
    }
}

/// Says in the log which ranges refuse peers, beyond the numbers that are `known`, and notes the new ones.
pub(super) fn log_refusals(
    known: &mut BTreeMap<ObjectName, u64>,
    ranges: &BTreeMap<ObjectName, RangeStatus>,
) {
    known.retain(|name, _| ranges.contains_key(name));
    for (name, &RangeStatus { refused, .. }) in ranges {
        if known.insert(name.clone(), refused).unwrap_or_default() < refused {
            tracing::warn!(object = %name, refused, "BGP peers of a listen range are refused, as it has too many");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::speaker::peering::tests::external_peer;
    use ferrolb_peering::bgp::PeerError;
    use std::sync::Arc;

    fn name(peer: &str) -> ObjectName {
        ObjectName::new("metallb-system", peer)
    }

    fn called(range: &str, address: &str) -> Caller {
        Caller { range: name(range), address: address.parse().unwrap() }
    }

    fn planned() -> BTreeMap<ObjectName, Session> {
        let range = Endpoint::Range("192.0.2.0/24".parse().unwrap());
        let fixed = Endpoint::Address("192.0.2.9".parse().unwrap());
        let session = |endpoint| Session { peer: external_peer(endpoint), routes: Arc::default() };
        [(name("leaves"), session(range)), (name("fixed"), session(fixed))].into()
    }

    #[test]
    fn who_has_connected_from_a_range_is_a_peer_beside_it_unless_it_is_another() {
        let all = ["192.0.2.7", "192.0.2.9", "203.0.113.1"].map(|address| called("leaves", address));
        let sessions = with_callers(&planned(), &all.into());
        let names: Vec<String> = sessions.keys().map(ToString::to_string).collect();
        let expected = ["fixed", "leaves", "leaves@192.0.2.7"].map(|peer| format!("metallb-system/{peer}"));
        assert_eq!(names, expected);
        assert_eq!(ranges(&planned()).keys().collect::<Vec<_>>(), [&name("leaves")]);
    }

    #[test]
    fn a_range_says_who_is_there_whether_it_is_full_and_why_nobody_can_connect() {
        let callers = |count: u8| (0..count).map(|host| [192, 0, 2, host].into()).collect();
        let error = PeerError::LinkLocal("fe80::1".parse().unwrap());
        let status = |count, error| range_status(&RangeStatus { callers: callers(count), refused: 3, error });
        for (status, state, reason, message) in [
            (status(0, None), "Listening", None, "peers of the range that have connected: 0"),
            (status(2, None), "Listening", None, "peers of the range that have connected: 2"),
            (status(100, None), "Listening", Some("ListenRangeFull"), "100 peers of the range"),
            (status(0, Some(error)), "Idle", Some("InterfaceMissing"), "the peer fe80::1 is link-local"),
        ] {
            assert_eq!((status.state.as_deref(), status.reason.as_deref()), (Some(state), reason));
            assert!(status.message.as_ref().is_some_and(|said| said.starts_with(message)), "{status:?}");
        }
    }

    #[test]
    fn a_session_says_whose_it_is_by_the_object_and_the_address() {
        let noted = |name: &ObjectName| {
            let mut status = BgpSessionStatus::default();
            note_caller(name, &mut status);
            (status.peer, status.caller)
        };
        let caller = called("leaves", "2001:db8::7");
        assert_eq!(noted(&caller.name()), (Some("leaves".to_owned()), Some("2001:db8::7".to_owned())));
        assert_eq!(noted(&name("leaves")), (None, None));
    }
}
