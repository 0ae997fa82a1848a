//! Speakers that read different states of the API server, each of which sees itself in the right.

use alloc::collections::BTreeMap;
use core::time::Duration;

use super::*;
use crate::Plan;

/// What one speaker sees of the API server, and what it remembers.
struct Speaker {
    view: Snapshot,
    plan: Plan,
}

impl Speaker {
    /// Under policy Local, with the only Pod on `endpoint` as `me` sees it.
    fn new(me: &str, endpoint: &str) -> Self {
        let mut view = cluster(me);
        for service in view.services.values_mut() {
            let service = Arc::make_mut(service);
            service.traffic_policy = TrafficPolicy::Local;
            service.endpoints.nodes = [(NodeName::from(endpoint), 1)].into();
        }
        Self { view, plan: Plan::default() }
    }

    /// A pass at `now`, with what `other` said last. Whether this node took an address.
    fn pass(&mut self, other: &Self, now: Instant) -> bool {
        self.view.now = now;
        let ownership = &mut self.view.ownership;
        ownership.held = self.plan.held.clone();
        ownership.overruled = self.plan.overruled.clone();
        ownership.claims = [(other.view.me.clone(), other.plan.claims())].into();
        let plan = plan(&self.view);
        let took = plan.held.keys().any(|address| !self.plan.held.contains_key(address));
        self.plan = plan;
        took
    }
}

fn at(millis: u64) -> Instant {
    Instant::from_origin(Duration::from_millis(millis))
}

#[test]
fn two_that_both_see_themselves_in_the_right_do_not_take_an_address_in_turns() {
    let (mut fresh, mut stale) = (Speaker::new("master", "master"), Speaker::new("worker1", "worker1"));
    let mut moves = BTreeMap::from([("first", 0), ("last", 0)]);
    for tick in 0..60_000 / 10 {
        let now = at(tick * 10);
        let taken = usize::from(fresh.pass(&stale, now)) + usize::from(stale.pass(&fresh, now));
        *moves.get_mut(if tick < 3_000 { "first" } else { "last" }).unwrap() += taken;
        let owners = [&fresh, &stale].map(|speaker| speaker.plan.held.len());
        assert!(owners.iter().sum::<usize>() >= 1, "somebody has it");
    }
    assert!((2..=12).contains(&moves["first"]), "{moves:?}");
    assert!(moves["last"] <= 2, "{moves:?}");
}

#[test]
fn what_was_overruled_is_taken_at_once_when_the_other_dies() {
    let (mut fresh, mut stale) = (Speaker::new("master", "master"), Speaker::new("worker1", "worker1"));
    assert!(stale.pass(&fresh, at(0)));
    assert!(fresh.pass(&stale, at(1)));
    assert!(!stale.pass(&fresh, at(2)), "it was overruled a moment ago");
    assert_eq!(stale.plan.expires(), Some(at(1_002)), "and may take it back then");
    let nobody = Speaker::new("worker2", "worker2");
    stale.view.alive.remove(&fresh.view.me);
    assert!(stale.pass(&nobody, at(3)), "nobody else has it");
}

#[test]
fn what_was_overruled_is_taken_at_once_when_the_others_speaker_ends() {
    let (mut fresh, mut stale) = (Speaker::new("master", "master"), Speaker::new("worker1", "worker1"));
    assert!(stale.pass(&fresh, at(0)));
    assert!(fresh.pass(&stale, at(1)));
    assert!(!stale.pass(&fresh, at(2)), "it was overruled a moment ago");
    stale.view.ownership.leaving = [fresh.view.me.clone()].into();
    assert!(stale.pass(&fresh, at(3)));
}

#[test]
fn an_address_that_is_drained_back_and_forth_moves_each_time() {
    let views = |draining: &str| {
        ["master", "worker1"].map(|me| {
            let mut view = cluster(me);
            view.nodes.retain(|node, _| node.as_str() != "worker2");
            view.nodes.get_mut(&NodeName::from(draining)).unwrap().draining = true;
            view
        })
    };
    let [one, other] = views("worker1").map(|view| Speaker { view, plan: Plan::default() });
    let (mut one, mut other) = (one, other);
    assert!(one.pass(&other, at(0)));
    for (turn, draining) in ["master", "worker1"].into_iter().cycle().take(20).enumerate() {
        let [view, other_view] = views(draining);
        (one.view, other.view) = (view, other_view);
        let now = at(10 * (turn as u64 + 1));
        let mut took = false;
        for _pass in 0..3 {
            took |= one.pass(&other, now) | other.pass(&one, now);
        }
        assert!(took, "turn {turn}: {:?} {:?}", one.plan.overruled, other.plan.overruled);
        assert_eq!(one.plan.held.len() + other.plan.held.len(), 1);
    }
}
