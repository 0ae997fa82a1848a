//! The weight of a path while endpoints come and go.

use super::*;
use crate::bgp::weight::WEIGHT_INTERVAL;
use core::num::NonZeroU32;
use core::time::Duration;
use proptest::prelude::*;

fn at(millis: u64) -> Instant {
    Instant::ORIGIN + Duration::from_millis(millis)
}

/// Node b with one Service under policy Local, which plans again and again.
struct Life {
    snapshot: Snapshot,
    expires: Option<Instant>,
}

impl Life {
    fn new() -> Self {
        let mut snapshot = cluster("b");
        web(&mut snapshot).traffic_policy = TrafficPolicy::Local;
        Self { snapshot, expires: None }
    }

    /// The node has so many ready endpoints, or none at all.
    fn set_ready(&mut self, ready: Option<u32>) {
        let nodes = ready.map(|ready| (NodeName::from("b"), ready));
        web(&mut self.snapshot).endpoints.nodes = nodes.into_iter().collect();
    }

    /// What the next plan tells the first router, one line for each prefix.
    fn plan(&mut self, now: Instant) -> Vec<String> {
        self.snapshot.now = now;
        let plan = plan(&self.snapshot);
        self.expires = plan.expires;
        self.snapshot.peering.weights = plan.weights;
        plan.sessions[&named("tor-a")].routes.iter().map(|(prefix, route)| line(*prefix, route)).collect()
    }

    /// The weight that is told with so many ready endpoints.
    fn weight(&mut self, millis: u64, ready: Option<u32>) -> Option<u32> {
        self.set_ready(ready);
        let told = self.plan(at(millis));
        assert!(told.len() <= 1, "{told:?}");
        told.first().map(|line| line.strip_prefix("198.51.100.10/32 weighs ").unwrap().parse().unwrap())
    }
}

#[test]
fn a_change_is_told_at_once_and_the_next_when_two_seconds_have_gone_by() {
    let mut life = Life::new();
    for (millis, ready, told, expires) in [
        (10_000, 3, 3, None),
        (11_000, 4, 3, Some(12_000)),
        (11_500, 5, 3, Some(12_000)),
        (12_000, 5, 5, None),
        (12_100, 6, 5, Some(14_000)),
        // Nothing is left to tell.
        (12_200, 5, 5, None),
        (20_000, 1, 1, None),
    ] {
        assert_eq!(life.weight(millis, Some(ready)), Some(told), "{millis}");
        assert_eq!(life.expires, expires.map(at), "{millis}");
    }
}

#[test]
fn the_first_endpoint_and_the_last_are_waited_for_by_nobody() {
    let mut life = Life::new();
    for (millis, ready, told) in [
        (0, Some(3), Some(3)),
        (100, None, None),
        (200, Some(5), Some(5)),
        // Those that are left terminate, and still serve.
        (300, Some(0), Some(1)),
        (400, Some(7), Some(7)),
        (500, Some(9), Some(7)),
        (600, None, None),
    ] {
        assert_eq!(life.weight(millis, ready), told, "{millis}");
    }
    assert_eq!(life.expires, None, "what is not told does not wait");
    assert!(life.snapshot.peering.weights.is_empty());
}

#[test]
fn among_many_endpoints_one_more_or_less_changes_nothing() {
    let mut life = Life::new();
    let readies = [32, 34, 30, 35, 33, 32, 15, 16];
    let weights = [32, 32, 32, 35, 35, 32, 15, 16];
    for (seconds, (ready, weight)) in (0..).step_by(10).zip(readies.into_iter().zip(weights)) {
        assert_eq!(life.weight(seconds * 1_000, Some(ready)), Some(weight), "{seconds}");
        assert_eq!(life.expires, None);
    }
}

#[test]
fn a_prefix_that_is_for_all_nodes_has_no_weight_from_the_next_plan_on() {
    let mut life = Life::new();
    assert_eq!(life.weight(0, Some(2)), Some(2));
    life.snapshot.services.insert(service_key("everywhere"), service(&["198.51.100.10"]).into());
    assert_eq!(life.plan(at(10)), ["198.51.100.10/32"]);
    life.snapshot.services.remove(&service_key("everywhere"));
    assert_eq!(life.weight(20, Some(3)), Some(3));
}

#[test]
fn routers_that_are_told_different_things_have_weights_of_their_own() {
    let mut life = Life::new();
    life.set_ready(Some(1));
    let mut shop = web(&mut life.snapshot).clone();
    shop.addresses = vec!["198.51.100.11".parse().unwrap()];
    life.snapshot.services.insert(service_key("shop"), shop.clone().into());
    let to = |peer: &str, length| {
        advertisement(|one| {
            one.peers = [peer.into()].into();
            one.aggregation_length = length;
        })
    };
    advertise(&mut life.snapshot, &[("1", &to("tor-a", 32)), ("2", &to("tor-b", 24))]);
    let web_and_shop = |web: u32, shop: u32| {
        [format!("198.51.100.10/32 weighs {web}"), format!("198.51.100.11/32 weighs {shop}")]
    };
    assert_eq!(life.plan(at(0)), web_and_shop(1, 1));
    assert_eq!(told(&life.snapshot, "tor-b"), ["198.51.100.0/24 weighs 2"]);
    shop.endpoints.nodes = [("b".into(), 4)].into();
    life.snapshot.services.insert(service_key("shop"), shop.into());
    assert_eq!(life.plan(at(1_000)), web_and_shop(1, 1));
    assert_eq!(life.expires, Some(at(2_000)));
    life.set_ready(Some(2));
    assert_eq!(life.plan(at(2_000)), web_and_shop(2, 4));
    assert_eq!(told(&life.snapshot, "tor-b"), ["198.51.100.0/24 weighs 6"]);
}

proptest! {
    #[test]
    fn however_endpoints_come_and_go_updates_are_few_and_the_load_is_even_in_the_end(
        changes in proptest::collection::vec((0_u64..3_000, 1_u32..120), 1..60),
    ) {
        let mut life = Life::new();
        let (mut now, mut ready) = (0, 0);
        // The weights that were told, with the times.
        let mut updates: Vec<(Instant, u32)> = Vec::new();
        let mut note = |now: Instant, told: Vec<String>| {
            let weight: u32 = told[0].rsplit(' ').next().unwrap().parse().unwrap();
            if updates.last().is_none_or(|(_, last)| *last != weight) {
                updates.push((now, weight));
            }
        };
        // The last is followed by peace.
        for (pause, next) in changes.iter().copied().chain([(10_000, 0)]) {
            now += pause;
            while let Some(expires) = life.expires.filter(|expires| *expires <= at(now)) {
                note(expires, life.plan(expires));
                prop_assert!(life.expires.is_none_or(|again| again > expires), "it goes on");
            }
            if next > 0 {
                ready = next;
                life.set_ready(Some(ready));
                note(at(now), life.plan(at(now)));
            }
        }
        for both in updates.windows(2) {
            prop_assert!(both[1].0 >= both[0].0 + WEIGHT_INTERVAL, "{:?}", updates);
        }
        let told = updates.last().unwrap().1;
        // Of each unit of traffic an endpoint here has what one elsewhere has, give or take a sixteenth.
        prop_assert!(told * 17 >= ready * 16 && told * 15 <= ready * 16, "{} for {}", told, ready);
        let route = plan(&life.snapshot).sessions[&named("tor-a")].routes.values().next().cloned().unwrap();
        prop_assert_eq!(route.local_endpoints, NonZeroU32::new(told));
    }
}
