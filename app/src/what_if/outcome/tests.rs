use super::*;
use ferrolb_ipam::{Allocation, Change, Cleared, Refusal, Refused};
use ferrolb_vocab::NodeName;
use std::sync::Arc;

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn cleared(texts: &[&str]) -> Option<Cleared> {
    (!texts.is_empty())
        .then(|| Cleared { addresses: addresses(texts), why: Refusal::UnknownPool { pool: "old".into() } })
}

/// A decision that gives `has` after it took `taken`.
fn decision(has: &[&str], taken: &[&str]) -> Decision {
    if has.is_empty() {
        let why = Refusal::NoPools { rejected: 0 };
        return Decision::Refused(Refused { why, cleared: cleared(taken).map(Box::new) });
    }
    Decision::Allocated(Allocation {
        pool: "lb-pool".into(),
        addresses: addresses(has),
        terms: Arc::default(),
        change: Change::Kept,
        missing: None,
        unmet: None,
        cleared: cleared(taken).map(Box::new),
    })
}

fn judgement(decision: Option<Decision>, announcer: Option<Announcer>) -> Judgement {
    let key = ServiceKey::new("default", "web");
    Judgement {
        decisions: decision.map(|decision| (key.clone(), decision)).into_iter().collect(),
        claims: BTreeMap::new(),
        announcers: announcer.map(|announcer| (key, announcer)).into_iter().collect(),
        complaints: Vec::new(),
    }
}

fn node(name: &str) -> Announcer {
    Announcer::Node(NodeName::from(name))
}

fn nobody() -> Announcer {
    Announcer::Nobody { reason: "NoServingEndpoint", why: "no endpoint".into() }
}

#[test]
fn the_effect_is_what_becomes_of_the_addresses() {
    for (before, after, expected) in [
        (&[][..], &[][..], Effect::Lacks),
        (&[], &["10.0.0.1"], Effect::Gains),
        (&["10.0.0.1"], &["10.0.0.1"], Effect::Keeps),
        (&["10.0.0.1"], &["10.0.0.1", "fd00::1"], Effect::Gains),
        (&["10.0.0.1"], &["10.0.0.2"], Effect::Moves),
        (&["10.0.0.1"], &["10.0.0.2", "fd00::1"], Effect::Moves),
        (&["10.0.0.1"], &[], Effect::Loses),
        (&["10.0.0.1", "fd00::1"], &["10.0.0.1"], Effect::Loses),
        (&["10.0.0.1", "fd00::1"], &["10.0.0.2"], Effect::Loses),
        (&["10.0.0.1", "fd00::1"], &["fd00::1", "10.0.0.1"], Effect::Keeps),
    ] {
        assert_eq!(Effect::of(&addresses(before), &addresses(after)), expected, "{before:?} -> {after:?}");
    }
}

#[test]
fn each_effect_says_why_and_counts() {
    let one = &["10.0.0.1"][..];
    let new = &["10.0.0.2"][..];
    for (before, after, why, is_change, is_loss) in [
        (Some(decision(one, &[])), Some(decision(one, &[])), "", false, false),
        (None, Some(decision(one, &[])), "from pool lb-pool", true, false),
        (Some(decision(one, &[])), Some(decision(new, one)), "unknown pool \"old\"", true, false),
        (
            Some(decision(one, &[])),
            Some(decision(&[], one)),
            "; and gets no other: no available IPs",
            true,
            true,
        ),
        (Some(decision(one, &[])), None, "the change deletes it", true, true),
        (None, Some(decision(&[], &[])), "no available IPs", true, false),
    ] {
        let announced = before.as_ref().map(|_| node("worker1"));
        let outcome = compare(&judgement(before, announced.clone()), &judgement(after, announced));
        let [service] = &outcome.services[..] else { panic!("{outcome:?}") };
        assert!(service.why.contains(why), "{service:?}");
        assert_eq!(service.why.is_empty(), why.is_empty(), "{service:?}");
        assert_eq!((service.is_change(), outcome.summary().is_loss()), (is_change, is_loss), "{service:?}");
    }
}

#[test]
fn a_service_that_goes_on_without_is_no_news() {
    let without = judgement(Some(decision(&[], &[])), Some(nobody()));
    let outcome = compare(&without, &without);
    assert!(!outcome.services.iter().any(ServiceOutcome::is_change), "{outcome:?}");
    assert_eq!(outcome.summary(), Summary { lack: 1, ..Summary::default() });
}

#[test]
fn who_announces_counts_for_services_that_keep_their_address() {
    let keep = Summary { keep: 1, ..Summary::default() };
    for (today, then, expected, is_change) in [
        (node("worker1"), node("worker1"), keep, false),
        (node("worker1"), node("worker2"), Summary { change_node: 1, ..keep }, true),
        (node("worker1"), nobody(), Summary { silenced: 1, ..keep }, true),
        (nobody(), node("worker1"), keep, true),
        (nobody(), nobody(), keep, false),
    ] {
        let has = || Some(decision(&["10.0.0.1"], &[]));
        let outcome = compare(&judgement(has(), Some(today)), &judgement(has(), Some(then)));
        assert_eq!(outcome.summary(), expected);
        assert_eq!(outcome.services[0].is_change(), is_change, "{outcome:?}");
        assert_eq!(outcome.summary().is_loss(), expected.silenced > 0, "{outcome:?}");
    }
}

#[test]
fn only_new_complaints_are_told() {
    let complaint = |reason| Complaint {
        kind: "IPAddressPool".into(),
        namespace: "metallb-system".into(),
        name: "lb-pool".into(),
        reason,
        message: "a message".into(),
    };
    let with = |complaints| Judgement { complaints, ..Judgement::default() };
    let before = with(vec![complaint("NoAdvertisement")]);
    let after = with(vec![complaint("NoAdvertisement"), complaint("PoolOverlap")]);
    assert_eq!(compare(&before, &after).complaints, [complaint("PoolOverlap")]);
    assert_eq!(compare(&after, &before).complaints, []);
}
