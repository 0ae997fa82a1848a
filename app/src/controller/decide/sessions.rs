//! Whether a BGP peer is in effect: what its sessions say, told at its object.

use ferrolb_api::bgp_session::BgpSessionStatus;
use ferrolb_api::conditions::READY;
use ferrolb_cluster::controller::{Condition, ConfigObject, ControllerView};
use ferrolb_vocab::{NodeName, ObjectName};

/// Whether the nodes have sessions with a `BGPPeer`; `None` for another kind.
pub(super) fn condition(object: &ConfigObject, view: &ControllerView) -> Option<Condition> {
    let reference = &object.reference;
    if reference.kind.as_deref() != Some("BGPPeer") {
        return None;
    }
    let [namespace, name] =
        [&reference.namespace, &reference.name].map(|part| part.as_deref().unwrap_or_default());
    let sessions = view.sessions.get(&ObjectName::new(namespace, name));
    let all = sessions.map_or(0, |sessions| sessions.len());
    let is_range = sessions.into_iter().flatten().any(|(_, session)| is(session, "Listening"));
    let is_well = |session| is(session, "Established") || is(session, "Listening");
    let mut down = sessions.into_iter().flatten().filter(|(_, session)| !is_well(session));
    let first = down.next();
    let (holds, reason, message) = match first {
        None if all == 0 => (
            false,
            "NoSession",
            "No node has a session with the peer: spec.nodeSelectors select none, or the speakers of those that \
             they select cannot use the object, which their ConfigurationStates speaker-NODE tell."
                .to_owned(),
        ),
        None if is_range => {
            (true, "Listening", format!("All {all} nodes that are to listen for peers of the range do."))
        }
        None => (true, "Established", format!("All {all} nodes that are to have a session with the peer have it.")),
        Some(one) => {
            let missing = down.count().saturating_add(1);
            let message = format!(
                "{missing} of {all} nodes that are to have a session with the peer have none: {}.",
                why(one)
            );
            (false, "SessionDown", message)
        }
    };
    Some(Condition { type_: READY, holds, reason, message })
}

fn is(session: &BgpSessionStatus, state: &str) -> bool {
    session.state.as_deref() == Some(state)
}

fn why((node, session): (&NodeName, &BgpSessionStatus)) -> String {
    let state = session.state.as_deref().unwrap_or("not known");
    match (&session.reason, &session.message) {
        (Some(reason), Some(message)) => format!("on node {node} it is {state} ({reason}): {message}"),
        (Some(_), None) | (None, Some(_) | None) => format!("on node {node} it is {state}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// The condition of a peer when each node says that of its session.
    fn ready(sessions: &[(&str, &str, Option<&str>)]) -> Condition {
        let session = |(node, state, why): &(&str, &str, Option<&str>)| {
            let text = |text: &str| Some(text.to_owned());
            let session = BgpSessionStatus {
                state: text(state),
                reason: why.and(text("connect_failed")),
                message: why.and_then(text),
                ..BgpSessionStatus::default()
            };
            (NodeName::from(*node), session)
        };
        let of_peer: BTreeMap<_, _> = sessions.iter().map(session).collect();
        let name = ObjectName::new("metallb-system", "tor");
        let sessions = if of_peer.is_empty() { BTreeMap::new() } else { [(name, of_peer)].into() };
        let view = ControllerView { sessions, ..ControllerView::default() };
        condition(&object("BGPPeer"), &view).unwrap()
    }

    fn object(kind: &str) -> ConfigObject {
        let reference = k8s_openapi::api::core::v1::ObjectReference {
            kind: Some(kind.into()),
            namespace: Some("metallb-system".into()),
            name: Some("tor".into()),
            ..Default::default()
        };
        ConfigObject {
            reference,
            generation: None,
            conditions: Vec::new(),
            usage: None,
            pool: None,
            errors: Vec::new(),
            unknown_pools: Vec::new(),
            withheld: Vec::new(),
        }
    }

    #[test]
    fn a_peer_is_ready_when_every_node_that_peers_has_a_session() {
        let up = |node| (node, "Established", None);
        let all = ready(&[up("a"), up("b")]);
        assert_eq!((all.type_, all.holds, all.reason), ("Ready", true, "Established"));
        let some = ready(&[up("a"), ("b", "Active", Some("no connection: refused or unreachable"))]);
        assert_eq!((some.holds, some.reason), (false, "SessionDown"));
        assert_eq!(
            some.message,
            "1 of 2 nodes that are to have a session with the peer have none: on node b it is Active \
             (connect_failed): no connection: refused or unreachable."
        );
        assert!(ready(&[("a", "Connect", None)]).message.ends_with("on node a it is Connect."));
        assert_eq!(ready(&[]).reason, "NoSession");
    }

    #[test]
    fn a_range_is_ready_when_every_node_listens_for_it_whoever_connects() {
        let listens = |node| (node, "Listening", None);
        let all = ready(&[listens("a"), listens("b")]);
        assert_eq!((all.holds, all.reason), (true, "Listening"));
        let some = ready(&[listens("a"), ("b", "Idle", Some("nothing can listen on 0.0.0.0:179"))]);
        assert_eq!((some.holds, some.reason), (false, "SessionDown"));
    }

    #[test]
    fn other_kinds_have_no_sessions() {
        assert_eq!(condition(&object("BFDProfile"), &ControllerView::default()), None);
    }
}
