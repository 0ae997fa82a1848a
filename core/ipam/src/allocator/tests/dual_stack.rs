//! Two families.

use super::*;

#[test]
fn what_each_policy_gets_from_each_kind_of_pool() {
    let dual = || [pool("p", "fd00::/120 10.0.0.0/24")];
    let v4_only = || [pool("p", "10.0.0.0/24")];
    let v6_only = || [pool("p", "fd00::/120")];
    let prefer_v6 = || ServiceRequest { families: Families::Dual { primary: IpFamily::V6 }, ..prefer() };
    let cases = [
        // pools, request, outcome
        (dual(), v4(), "10.0.0.0"),
        (dual(), v6(), "fd00::"),
        (dual(), prefer(), "10.0.0.0 fd00::"),
        (dual(), prefer_v6(), "10.0.0.0 fd00::"),
        (dual(), require(), "10.0.0.0 fd00::"),
        (v4_only(), v4(), "10.0.0.0"),
        (v4_only(), v6(), "FamilyNotInPool"),
        (v4_only(), prefer(), "10.0.0.0"),
        (v4_only(), prefer_v6(), "10.0.0.0"),
        (v4_only(), require(), "FamilyNotInPool"),
        (v6_only(), prefer(), "fd00::"),
        (v6_only(), require(), "FamilyNotInPool"),
        (dual(), wants_pool("p", prefer()), "10.0.0.0 fd00::"),
        (v4_only(), wants_pool("p", prefer()), "10.0.0.0"),
        (v4_only(), wants_pool("p", require()), "FamilyNotInPool"),
        (dual(), ServiceRequest { policy: FamilyPolicy::RequireDualStack, ..v4() }, "NotEnoughClusterIps"),
        (dual(), ServiceRequest::new(Families::None), "NotEnoughClusterIps"),
    ];
    for (pools, request, outcome) in cases {
        let mut cluster = Cluster::with(pools);
        cluster.create("svc", request.clone());
        assert_eq!(cluster.settled(["svc"]), [outcome], "{request:?}");
        assert_eq!(cluster.settled(["svc"]), [outcome], "again, {request:?}");
        assert_eq!(cluster.restart().settled(["svc"]), [outcome], "after a restart, {request:?}");
    }
}

#[test]
fn prefer_dual_stack_takes_a_pool_with_both_before_an_earlier_one_with_one() {
    let mut cluster = Cluster::with([
        pool("a", "10.0.0.0/24"),
        pool("b", "fd01::/120"),
        pool("c", "10.2.0.0/32 fd02::/128"),
    ]);
    cluster.create_all(["1", "2"], &prefer());
    cluster.create("3", ServiceRequest { families: Families::Dual { primary: IpFamily::V6 }, ..prefer() });
    cluster.create("4", require());
    assert_eq!(
        cluster.settled(["1", "2", "3", "4"]),
        ["10.2.0.0 fd02::", "10.0.0.0", "fd01::", "PoolExhausted"]
    );
}

#[test]
fn a_pinned_pool_with_one_family_goes_before_an_unpinned_one_with_both() {
    let mut cluster = Cluster::with([
        pinned("pinned", "10.0.0.0/24", ServiceAllocation::default()),
        pool("both", "10.1.0.0/24 fd01::/120"),
    ]);
    cluster.create("prefers", prefer());
    cluster.create("requires", require());
    assert_eq!(cluster.settled(["prefers", "requires"]), ["10.0.0.0", "10.1.0.0 fd01::"]);
}

#[test]
fn both_addresses_come_from_one_pool() {
    let mut cluster = Cluster::with([pool("a", "10.0.0.0/24"), pool("b", "fd00::/120")]);
    cluster.create("any", require());
    cluster.create("asks", wants("10.0.0.1 fd00::1", require()));
    assert_eq!(cluster.settled(["any", "asks"]), ["FamilyNotInPool", "AddressNotInPool"]);
}

#[test]
fn addresses_asked_for_are_recorded_in_the_order_asked() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.0/24 fd00::/120")]);
    cluster.create("svc", wants("fd00::7 10.0.0.7", require()));
    cluster.create("one", wants("10.0.0.8", prefer()));
    assert_eq!(cluster.settled(["svc", "one"]), ["fd00::7 10.0.0.7", "FamilyMismatch"]);
    cluster.edit("svc").wanted = Wanted::Addresses { addresses: ips("10.0.0.7 fd00::7"), pool: None };
    assert_eq!(cluster.settled(["svc"]), ["fd00::7 10.0.0.7"], "order alone moves no announcement");
}

#[test]
fn a_pool_that_becomes_dual_adds_the_second_address_and_leaves_the_first() {
    let mut cluster = Cluster::with([pool("p", "fd00::/120")]);
    cluster.create("svc", prefer());
    assert_eq!(cluster.settled(["svc"]), ["fd00::"]);
    assert_eq!(cluster.allocation("svc").missing.as_deref().map(Refusal::reason), Some("FamilyNotInPool"));
    cluster.set_pools([pool("p", "10.0.0.0/24 fd00::/120")]);
    assert_eq!(cluster.settled(["svc"]), ["fd00:: 10.0.0.0"]);
    let allocation = cluster.allocation("svc");
    assert_eq!((allocation.change, &allocation.missing), (Change::Added(ip("10.0.0.0")), &None));
    assert_eq!(cluster.settled(["svc"]), ["fd00:: 10.0.0.0"]);
    assert_eq!(cluster.allocation("svc").change, Change::Kept);
}

#[test]
fn a_second_address_is_not_taken_from_one_who_has_it_on_record() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.0/24 fd00::/128")]);
    cluster.create("prefers", ServiceRequest { recorded: ips("10.0.0.0"), ..prefer() });
    cluster.create("has", ServiceRequest { recorded: ips("fd00::"), ..v6() });
    assert_eq!(cluster.settled(["prefers", "has"]), ["10.0.0.0", "fd00::"]);
    cluster.delete("has");
    assert_eq!(cluster.settled(["prefers"]), ["10.0.0.0 fd00::"]);
}

#[test]
fn a_dual_pool_elsewhere_attracts_nobody() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.0/24")]);
    cluster.create("svc", prefer());
    cluster.settle();
    cluster.set_pools([pool("p", "10.0.0.0/24"), pool("a", "10.1.0.0/24 fd01::/120")]);
    assert_eq!(cluster.settled(["svc"]), ["10.0.0.0"]);
}

#[test]
fn a_dual_pool_that_becomes_single_moves_both_addresses_to_another_dual_pool() {
    let mut cluster =
        Cluster::with([pool("p", "10.0.0.0/24 fd00::/120"), pool("q", "10.1.0.0/24 fd01::/120")]);
    cluster.create("svc", prefer());
    assert_eq!(cluster.settled(["svc"]), ["10.0.0.0 fd00::"]);
    cluster.set_pools([pool("p", "10.0.0.0/24"), pool("q", "10.1.0.0/24 fd01::/120")]);
    assert_eq!(cluster.settled(["svc"]), ["10.1.0.0 fd01::"]);
    assert_eq!(cluster.cleared("svc"), Some("AddressNotInPool"));
}

#[test]
fn requiring_both_strips_who_has_one_and_preferring_restores_it() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.0/24")]);
    cluster.create("svc", prefer());
    cluster.settle();
    cluster.edit("svc").policy = FamilyPolicy::RequireDualStack;
    assert_eq!(cluster.settled(["svc"]), ["FamilyNotInPool"]);
    assert_eq!(cluster.cleared("svc"), Some("FamiliesChanged"));
    cluster.edit("svc").policy = FamilyPolicy::PreferDualStack;
    assert_eq!(cluster.settled(["svc"]), ["10.0.0.0"]);
}

#[test]
fn preferring_both_with_cluster_ips_of_one_family_settles_on_one() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.0/24 fd00::/120")]);
    cluster.create("svc", ServiceRequest { policy: FamilyPolicy::PreferDualStack, ..v4() });
    for _ in 0..3 {
        assert_eq!(cluster.settled(["svc"]), ["10.0.0.0"]);
        assert_eq!((cluster.cleared("svc"), &cluster.allocation("svc").missing), (None, &None));
    }
}

#[test]
fn an_upgrade_to_dual_stack_keeps_the_one_address_that_was_asked_for() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.0/24 fd00::/120")]);
    cluster.create("svc", wants("10.0.0.7", v4()));
    cluster.settle();
    cluster.edit("svc").families = Families::Dual { primary: IpFamily::V4 };
    cluster.edit("svc").policy = FamilyPolicy::PreferDualStack;
    for _ in 0..3 {
        assert_eq!(cluster.settled(["svc"]), ["10.0.0.7"]);
    }
    assert_eq!(cluster.restart().settled(["svc"]), ["10.0.0.7"]);
}

#[test]
fn recorded_addresses_of_the_wrong_families_are_given_up() {
    for recorded in ["10.0.0.1 10.0.0.2", "10.0.0.1 fd00::1 10.0.0.2", "fd00::1", "10.0.0.1 10.0.0.1"] {
        let mut cluster = Cluster::with([pool("p", "10.0.0.0/24 fd00::/120")]);
        cluster.create("svc", ServiceRequest { recorded: ips(recorded), ..v4() });
        assert_eq!(cluster.settled(["svc"]), ["10.0.0.0"], "{recorded}");
        assert_eq!(cluster.cleared("svc"), Some("FamiliesChanged"), "{recorded}");
    }
}

#[test]
fn families_are_those_of_the_cluster_ips() {
    let of = |text: &str| Families::of(&ips(text));
    assert_eq!(Families::of(&[]), Families::None);
    assert_eq!(of("10.96.0.1"), Families::V4);
    assert_eq!(of("fd96::1"), Families::V6);
    assert_eq!(of("10.96.0.1 fd96::1"), Families::Dual { primary: IpFamily::V4 });
    assert_eq!(of("fd96::1 10.96.0.1"), Families::Dual { primary: IpFamily::V6 });
}
