//! When the network fails and heals: who is cut off, and what is announced anew.

use std::time::Duration;

use super::*;

const ADDRESS: &str = "192.168.100.240";

fn at(ms: u64) -> Instant {
    Instant::from_origin(Duration::from_millis(ms))
}

/// The other node's speaker is heard, and says that it owns `addresses`, or stands back.
fn heard(ms: u64, addresses: &[(&str, Epoch)]) -> Facts {
    let owned = addresses.iter().map(|(address, epoch)| (address.parse().unwrap(), *epoch));
    let claims = [("worker2".into(), owned.collect())].into();
    Facts { now: at(ms), ownership: Ownership { claims, ..facts().ownership }, ..facts() }
}

/// No other speaker is heard.
fn alone(ms: u64) -> Facts {
    Facts { now: at(ms), alive: BTreeSet::new(), ..facts() }
}

fn gateway_silent(facts: Facts) -> Facts {
    Facts { gateway_silent_since: Some(at(1_000)), ..facts }
}

#[test]
fn a_node_that_loses_all_peers_and_the_gateway_withdraws_and_takes_up_again_when_it_hears_one() {
    let mut decider = decider();
    assert_eq!(decider.decide(view(), &heard(1_000, &[])).actions.len(), 1);
    let pass = decider.decide(view(), &alone(2_000));
    assert!(pass.is_alone && pass.actions.is_empty(), "others may have died: {:?}", pass.actions);
    let withdrawn = decider.decide(view(), &gateway_silent(alone(5_000))).actions;
    assert_eq!(withdrawn, [Action::Withdraw(ADDRESS.parse().unwrap())]);
    let hears = decider.decide(view(), &alone(9_000));
    assert!(hears.actions.is_empty(), "it waits until it knows what others own");
    assert_eq!(hears.expires, Some(at(9_700)));
    assert_eq!(decider.decide(view(), &alone(9_700)).actions.len(), 1);
}

/// A Node whose speaker has yet to start is presumed alive for a moment. That is no sign of anything.
#[test]
fn a_peer_that_was_never_heard_is_none_that_fell_silent() {
    let mut decider = decider();
    decider.decide(view(), &alone(900));
    decider.decide(view(), &gateway_silent(alone(4_000)));
    let presumed = gateway_silent(Facts { now: at(5_000), ..facts() });
    assert!(!decider.decide(view(), &presumed).is_alone);
    let pass = decider.decide(view(), &gateway_silent(alone(5_255)));
    assert!(!pass.is_alone && pass.actions.is_empty(), "{:?}", pass.actions);
}

/// A view with ten Services, of which each node is the first in the order for some.
fn ten() -> SpeakerView {
    let service = view().services.into_values().next().unwrap();
    let one = |last: u8| {
        let addresses = vec![IpAddr::from([192, 168, 100, 240 + last])];
        (
            ServiceKey::new("default", format!("web-{last}")),
            Service { addresses, ..Service::clone(&service) }.into(),
        )
    };
    SpeakerView { services: (0..10).map(one).collect(), ..advertised(L2Advertisement::default()) }
}

fn announced_by(pass: &Pass) -> BTreeSet<IpAddr> {
    let announced = |action: &Action| match action {
        Action::Announce { address, .. } => Some(*address),
        Action::Withdraw(_) => None,
    };
    pass.actions.iter().filter_map(announced).collect()
}

#[test]
fn after_a_failure_of_the_whole_network_who_is_back_first_does_not_take_everything() {
    let all: Vec<String> = (240..250).map(|last| format!("192.168.100.{last}")).collect();
    let stands_back: Vec<_> = all.iter().map(|address| (address.as_str(), Epoch::STANDS_BACK)).collect();
    let mut decider = decider();
    let first = announced_by(&decider.decide(ten(), &heard(1_000, &[])));
    assert!((1..10).contains(&first.len()), "{first:?}");
    assert_eq!(decider.decide(ten(), &gateway_silent(alone(5_000))).actions.len(), first.len());
    // The network is whole: the other hears this node a moment later than this one that.
    let pass = decider.decide(ten(), &gateway_silent(heard(9_000, &stands_back)));
    assert_eq!(announced_by(&pass), first, "at once, for all are heard, and its own alone");
    assert_eq!(pass.expires, Some(at(9_700)));
    // It has an interface less, or does not come back.
    let pass = decider.decide(ten(), &heard(9_700, &stands_back));
    assert_eq!(announced_by(&pass).len(), 10 - first.len());
}

#[test]
fn what_another_node_claimed_too_is_announced_again_when_that_lets_go() {
    let mut decider = decider();
    let rival = [(ADDRESS, Epoch::FIRST)];
    let address: IpAddr = ADDRESS.parse().unwrap();
    assert_eq!(decider.decide(view(), &alone(0)).regained, BTreeSet::new());
    // Under the same epoch the first in the order, this node, is right.
    assert_eq!(decider.decide(view(), &heard(100, &rival)).regained, BTreeSet::new());
    let pass = decider.decide(view(), &heard(110, &[]));
    assert_eq!((pass.regained, pass.actions), ([address].into(), Vec::new()));
    assert_eq!(decider.decide(view(), &heard(120, &[])).regained, BTreeSet::new(), "once");
    // Who is overruled does not announce, and who takes the address begins with it anyway.
    decider.decide(view(), &heard(200, &[(ADDRESS, Epoch(7))]));
    let pass = decider.decide(view(), &alone(300));
    assert_eq!((announced_by(&pass), pass.regained), ([address].into(), BTreeSet::new()));
}

#[test]
fn what_a_rival_made_end_the_probing_early_is_told_when_it_would_have_ended() {
    let mut decider = decider();
    let pass = decider.decide(view(), &alone(0));
    assert_eq!((pass.to_probe.len(), pass.expires), (1, Some(at(800))));
    decider.decide(view(), &heard(100, &[(ADDRESS, Epoch::FIRST)]));
    let pass = decider.decide(view(), &heard(300, &[]));
    assert_eq!((pass.regained.len(), pass.report.announced.len()), (1, 0), "the driver answers from now on");
    assert_eq!(pass.expires, Some(at(800)));
    let pass = decider.decide(view(), &heard(800, &[]));
    assert_eq!((pass.report.announced.len(), told(&pass).len(), pass.expires), (1, 1, None));
}

#[test]
fn when_a_speaker_that_was_taken_for_dead_is_back_what_it_may_have_answered_for_is_announced_again() {
    let mut decider = decider();
    let address: IpAddr = ADDRESS.parse().unwrap();
    decider.decide(view(), &alone(0));
    let mut back = Facts { returns: 1, ..heard(100, &[]) };
    back.ownership.is_settled = false;
    assert_eq!(decider.decide(view(), &back).regained, BTreeSet::new(), "perhaps this node has to yield");
    back.ownership.is_settled = true;
    assert_eq!(decider.decide(view(), &back).regained, [address].into());
    assert_eq!(decider.decide(view(), &back).regained, BTreeSet::new());
}
