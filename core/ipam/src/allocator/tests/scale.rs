//! Size: work and memory follow the allocations, never the pools.

use super::*;
use std::format;

const SERVICES: u64 = 10_000;

/// A pool as wide as IPv6 is walked along its allocations only; walked along its addresses this would not end.
#[test]
fn ten_thousand_services_of_the_widest_pools_settle_and_stay() {
    let avoiding = Pool { avoid_buggy_ips: true, ..pool("p", "0.0.0.0/0 ::/0") };
    let mut cluster = Cluster::with([avoiding]);
    for number in 0..SERVICES {
        cluster.create(&format!("s{number:05}"), require());
    }
    cluster.settle();
    assert_eq!(cluster.outcome("s00000"), "0.0.0.1 ::");
    // 254 usable addresses in each /24.
    assert_eq!(cluster.outcome("s00254"), "0.0.1.1 ::fe");
    cluster.restart().settle();
    assert!(cluster.allocator.decisions().values().all(|decision| decision.cleared().is_none()));
    cluster.delete("s00300");
    cluster.create("late", require());
    assert_eq!(cluster.settled(["late"]), ["0.0.1.47 ::12c"], "the gap");
}

/// One in twenty asks for the last pool, which has too few addresses for them; one in three has both families.
#[test]
fn ten_thousand_services_of_a_hundred_pools_settle_and_stay() {
    let ranges = |number: i32| format!("10.0.{}.{}/25 fd00:0:{number:x}::/48", number / 2, number % 2 * 128);
    let mut cluster = Cluster::with((0..100).map(|number| pool(&format!("p{number:02}"), &ranges(number))));
    for number in 0..SERVICES {
        let request = if number % 3 == 0 { require() } else { v4() };
        let request = if number % 20 == 0 { wants_pool("p99", request) } else { request };
        cluster.create(&format!("s{number:05}"), request);
    }
    cluster.settle();
    assert_eq!(cluster.outcome("s00003"), "10.0.0.2 fd00::");
    assert_eq!(cluster.pool_of("s09999"), "p74", "the pools are used up one after the other");
    assert_eq!(cluster.outcome("s00000"), "10.0.49.128 fd00:0:63::");
    assert_eq!(cluster.outcome("s02540"), "10.0.49.255");
    assert_eq!(cluster.outcome("s02560"), "PoolExhausted");
    let usage = cluster.allocator.usage(&cluster.pools);
    assert_eq!(usage[&"p99".into()].available_v4, 0);
    assert_eq!(usage[&"p99".into()].available_v6, i64::MAX, "more than the counter holds");
    let outcomes = |cluster: &Cluster| -> Vec<String> {
        (0..SERVICES).map(|number| cluster.outcome(&format!("s{number:05}"))).collect()
    };
    let before = outcomes(&cluster);
    assert_eq!(before.iter().filter(|outcome| *outcome == "PoolExhausted").count(), 500 - 128);
    cluster.settle();
    assert!(outcomes(&cluster) == before, "another round changed something");
    cluster.restart().settle();
    assert!(outcomes(&cluster) == before, "the restart changed something");
    assert!(cluster.allocator.decisions().values().all(|decision| decision.cleared().is_none()));
}

/// Thousands who wait cost a look at a cursor each, not a walk along the pool each.
#[test]
fn thousands_wait_for_a_full_pool_on_equal_and_on_different_terms() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.0/20")]);
    for number in 0..SERVICES {
        let terms = [shares("", &[tcp(80)], v4()), shares("k", &[tcp(80)], v4())];
        cluster.create(&format!("s{number:05}"), terms[usize::from(number % 2 == 0)].clone());
    }
    cluster.settle();
    let served =
        cluster.allocator.decisions().values().filter(|decision| decision.refusal().is_none()).count();
    assert_eq!(served, 4096);
}

#[test]
fn ten_thousand_services_share_one_address() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.0/20")]);
    for number in 0..SERVICES {
        let port = u16::try_from(number).unwrap();
        cluster.create(&format!("s{number:05}"), shares("k", &[tcp(port)], v4()));
    }
    cluster.settle();
    cluster.settle();
    let usage = cluster.allocator.usage(&cluster.pools);
    assert_eq!(usage[&"p".into()].assigned_v4, 1);
}

/// Every Service has a claim of its own, half of them by label; as many claims wait, and so do as many Services.
#[test]
fn thousands_of_claims_are_decided_and_stay() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.0/20")]);
    for number in 0..SERVICES {
        let app = format!("app-{number}");
        let labels = ferrolb_vocab::Labels::from([("app", app.as_str())]);
        let named = number % 2 == 0;
        let operator = Operator::In([app].into());
        let selector = Selector { requirements: [Requirement { key: "app".into(), operator }].into() };
        let claim = claims_of("p", IpFamily::V4);
        cluster
            .claim(&format!("c{number}"), ClaimRequest { selector: (!named).then_some(selector), ..claim });
        let wanted = if named { Wanted::Claims([format!("c{number}")].into()) } else { Wanted::Any };
        cluster.create(&format!("s{number}"), ServiceRequest { labels, wanted, ..v4() });
    }
    cluster.settle();
    assert_eq!(cluster.outcome("s4095"), "10.0.15.255");
    assert_eq!(cluster.outcome("s4096"), "ClaimNotReserved");
    cluster.settle();
    cluster.restart().settle();
    assert!(cluster.allocator.decisions().values().all(|decision| decision.cleared().is_none()));
    assert_eq!(cluster.allocator.usage(&cluster.pools)[&"p".into()].available_v4, 0);
}
