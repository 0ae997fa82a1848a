//! What BGP peers are told, and what is said of it.

use std::time::Duration;

use super::*;
use crate::speaker::peering::tests::external_peer;
use ferrolb_cluster::parse::ObjectError;
use ferrolb_plan::BgpAdvertisement;
use ferrolb_plan::bgp::{Endpoint, GRACEFUL_SHUTDOWN_WAIT, Verdict, Withheld};

fn tor() -> ObjectName {
    ObjectName::new("metallb-system", "tor")
}

/// A view with a router that is told of everything.
fn peered() -> SpeakerView {
    let peer = external_peer(Endpoint::Address("192.168.100.1".parse().unwrap()));
    let bgp = [(ObjectName::new("metallb-system", "all"), BgpAdvertisement::default())].into();
    SpeakerView {
        peers: [(tor(), peer)].into(),
        advertisements: Advertisements { bgp, any_object: true, ..Advertisements::default() },
        ..view()
    }
}

fn at(now: Duration) -> Facts {
    Facts { now: Instant::from_origin(now), ..facts() }
}

fn prefixes(pass: &Pass) -> usize {
    pass.sessions.peers.values().map(|session| session.routes.len()).sum()
}

#[test]
fn a_service_is_advertised_told_and_reported_once_and_not_by_layer_2() {
    let mut decider = decider();
    let pass = decider.decide(peered(), &facts());
    assert_eq!(told(&pass), ["announcing from node \"master\" with protocol \"bgp\""]);
    assert_eq!(pass.report.advertised[&key()].iter().collect::<Vec<_>>(), [&tor()]);
    assert_eq!((prefixes(&pass), pass.sessions.is_shutting_down, pass.expires), (1, false, None));
    assert!(pass.actions.is_empty() && pass.report.announced.is_empty());
    let again = decider.decide(peered(), &facts());
    assert!(again.notices.is_empty());
    assert_eq!(again.report, pass.report);
}

#[test]
fn a_service_that_is_gone_is_withdrawn_and_its_peer_stays() {
    let mut decider = decider();
    decider.decide(peered(), &facts());
    let gone = SpeakerView { services: BTreeMap::new(), ..peered() };
    let pass = decider.decide(gone, &facts());
    assert_eq!((prefixes(&pass), pass.sessions.peers.len(), pass.report.advertised.len()), (0, 1, 0));
}

#[test]
fn why_a_service_is_not_advertised_is_kept() {
    let mut decider = decider();
    let mut idle = peered();
    Arc::make_mut(idle.services.get_mut(&key()).unwrap()).endpoints.any = false;
    let pass = decider.decide(idle, &facts());
    assert!(told(&pass).is_empty() && pass.report.advertised.is_empty());
    assert_eq!(decider.advertising()[&key()], Verdict::Withhold(Withheld::NoServingEndpoint));
}

#[test]
fn beside_metallbs_speakers_there_are_no_sessions() {
    let mut decider = decider();
    decider.decide(peered(), &facts());
    let speakers = [ObjectName::new("metallb-system", "speaker-b")].into();
    let metallb = MetalLbPods { speakers, ..MetalLbPods::default() };
    let pass = decider.decide(SpeakerView { metallb, ..peered() }, &facts());
    assert!(pass.sessions.peers.is_empty() && pass.report.advertised.is_empty());
}

#[test]
fn a_node_that_is_drained_asks_its_peers_to_prefer_others_and_withdraws_when_they_had_the_time() {
    let mut decider = decider();
    decider.decide(peered(), &at(Duration::ZERO));
    let draining = || {
        let mut view = peered();
        view.nodes.get_mut(&NodeName::from("master")).unwrap().draining = true;
        view
    };
    let since = Duration::from_secs(1);
    let over = since + GRACEFUL_SHUTDOWN_WAIT;
    let pass = decider.decide(draining(), &at(since));
    assert_eq!((prefixes(&pass), pass.sessions.is_shutting_down), (1, true));
    assert_eq!(decider.shutdown_since(), Some(Instant::from_origin(since)));
    assert_eq!(pass.expires, Some(Instant::from_origin(over)));
    let pass = decider.decide(draining(), &at(over));
    assert_eq!((prefixes(&pass), pass.report.advertised.len()), (0, 0));
    let pass = decider.decide(peered(), &at(over * 2));
    assert_eq!((prefixes(&pass), pass.sessions.is_shutting_down, told(&pass).len()), (1, false, 1));
    assert_eq!(decider.shutdown_since(), None);
}

#[test]
fn what_cannot_be_used_is_the_verdict_on_the_configuration() {
    let object = ObjectReference {
        kind: Some("BGPPeer".into()),
        namespace: Some("metallb-system".into()),
        name: Some("tor".into()),
        ..ObjectReference::default()
    };
    let message = "peer tor referencing non existing bfd profile x".to_owned();
    let error = ObjectError { object: Box::new(object), reason: "UnknownReference", message };
    let view = SpeakerView { errors: vec![error], ..peered() };
    let verdict = decider().decide(view, &facts()).report.configuration.unwrap();
    assert_eq!(
        (verdict.type_, verdict.holds, verdict.reason),
        ("configReconcilerValid", false, "ConfigurationError")
    );
    let message =
        "configuration error: BGPPeer metallb-system/tor: peer tor referencing non existing bfd profile x";
    assert_eq!(verdict.message, message);
    assert!(decider().decide(peered(), &facts()).report.configuration.unwrap().holds);
}
