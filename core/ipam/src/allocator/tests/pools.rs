//! Which pool, and which address of it.

use super::*;

#[test]
fn addresses_are_given_from_the_lowest_up_and_a_released_one_is_given_again() {
    let mut cluster = Cluster::with([pool("lb-pool", "192.168.100.240-192.168.100.250")]);
    cluster.create("a", v4());
    cluster.create("b", v4());
    assert_eq!(cluster.settled(["a", "b"]), ["192.168.100.240", "192.168.100.241"]);
    cluster.delete("a");
    cluster.create("c", v4());
    cluster.create("d", v4());
    assert_eq!(cluster.settled(["b", "c", "d"]), ["192.168.100.241", "192.168.100.240", "192.168.100.242"]);
}

#[test]
fn network_and_broadcast_addresses_are_given_unless_avoided() {
    let mut lb_pool = pool("p", "10.0.0.254-10.0.1.1");
    let outcomes = |lb_pool: &Pool| {
        let mut cluster = Cluster::with([lb_pool.clone()]);
        cluster.create_all(["a", "b", "c", "d", "e"], &v4());
        cluster.settled(["a", "b", "c", "d", "e"])
    };
    assert_eq!(outcomes(&lb_pool), ["10.0.0.254", "10.0.0.255", "10.0.1.0", "10.0.1.1", "PoolExhausted"]);
    lb_pool.avoid_buggy_ips = true;
    assert_eq!(
        outcomes(&lb_pool),
        ["10.0.0.254", "10.0.1.1", "PoolExhausted", "PoolExhausted", "PoolExhausted"]
    );
}

#[test]
fn the_ends_of_both_address_spaces_are_given_and_nothing_after_them() {
    let mut cluster = Cluster::with([
        pool("v4", "255.255.255.254-255.255.255.255"),
        pool("v6", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"),
    ]);
    for name in ["a", "b", "c"] {
        cluster.create(name, v4());
        cluster.create(&std::format!("{name}6"), v6());
    }
    assert_eq!(cluster.settled(["a", "b", "c"]), ["255.255.255.254", "255.255.255.255", "PoolExhausted"]);
    assert_eq!(cluster.settled(["a6", "b6"]), ["ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "PoolExhausted"]);
}

#[test]
fn ranges_are_used_up_in_the_order_written() {
    let mut cluster = Cluster::with([pool("p", "10.0.9.1/32 fd00::1/128 10.0.1.1/32")]);
    cluster.create_all(["a", "b"], &v4());
    assert_eq!(cluster.settled(["a", "b"]), ["10.0.9.1", "10.0.1.1"]);
}

#[test]
fn among_equal_pools_the_first_by_name_is_used() {
    let mut cluster =
        Cluster::with([pool("b", "10.0.0.1/32"), pool("c", "10.0.0.0/32"), pool("a", "10.0.0.2/32")]);
    cluster.create_all(["1", "2", "3"], &v4());
    assert_eq!(cluster.settled(["1", "2", "3"]), ["10.0.0.2", "10.0.0.1", "10.0.0.0"]);
}

#[test]
fn a_pool_without_auto_assign_gives_only_to_who_asks_for_it_or_for_an_address_of_it() {
    let mut cluster = Cluster::with([Pool { auto_assign: false, ..pool("manual", "10.0.0.0/29") }]);
    cluster.create("any", v4());
    cluster.create("by-pool", wants_pool("manual", v4()));
    cluster.create("by-address", wants("10.0.0.5", v4()));
    assert_eq!(cluster.settled(["any", "by-pool", "by-address"]), ["NoMatchingPool", "10.0.0.0", "10.0.0.5"]);
}

#[test]
fn switching_auto_assign_off_takes_nothing_away() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.0/29")]);
    cluster.create("a", v4());
    cluster.settle();
    cluster.set_pools([Pool { auto_assign: false, ..pool("p", "10.0.0.0/29") }]);
    assert_eq!(cluster.settled(["a"]), ["10.0.0.0"]);
    assert_eq!(cluster.restart().settled(["a"]), ["10.0.0.0"]);
}

#[test]
fn pinned_pools_come_by_priority_with_zero_last_and_unpinned_ones_after_them() {
    let everyone = |priority| ServiceAllocation { priority, ..ServiceAllocation::default() };
    let mut cluster = Cluster::with([
        pool("0-unpinned", "10.0.0.0/32"),
        pinned("1-zero", "10.0.0.1/32", everyone(0)),
        pinned("2-second", "10.0.0.2/32", everyone(2)),
        pinned("3-first", "10.0.0.3/32", everyone(1)),
        pinned("4-second-by-name", "10.0.0.4/32", everyone(2)),
    ]);
    cluster.create_all(["a", "b", "c", "d", "e"], &v4());
    assert_eq!(
        cluster.settled(["a", "b", "c", "d", "e"]),
        ["10.0.0.3", "10.0.0.2", "10.0.0.4", "10.0.0.1", "10.0.0.0"]
    );
}

#[test]
fn a_pinned_pool_serves_its_namespaces_and_labels_only_however_it_is_asked() {
    let shop_web =
        ServiceAllocation { service_selectors: [label_exists("web")].into(), ..namespaces(&["shop"], 1) };
    let mut cluster = Cluster::with([pinned("p", "10.0.0.0/24", shop_web)]);
    let web = || ServiceRequest { labels: [("web", "yes")].into(), ..v4() };
    cluster.create("shop/web", web());
    cluster.create("shop/other", v4());
    cluster.create("blog/web", web());
    cluster.create("blog/asks", wants_pool("p", web()));
    cluster.create("blog/insists", wants("10.0.0.9", web()));
    assert_eq!(
        cluster.settled(["shop/web", "shop/other", "blog/web", "blog/asks", "blog/insists"]),
        ["10.0.0.0", "NoMatchingPool", "NoMatchingPool", "PoolNotCompatible", "PoolNotCompatible"]
    );
}

#[test]
fn a_namespace_selector_that_matches_nothing_opens_the_pool_to_nobody() {
    let mut cluster = Cluster::with([pinned("p", "10.0.0.0/24", namespaces(&[], 1))]);
    cluster.create("any", v4());
    cluster.create("asks", wants_pool("p", v4()));
    cluster.create("insists", wants("10.0.0.9", v4()));
    assert_eq!(
        cluster.settled(["any", "asks", "insists"]),
        ["NoMatchingPool", "PoolNotCompatible", "PoolNotCompatible"]
    );
}

#[test]
fn a_namespace_that_is_no_longer_admitted_loses_the_address() {
    let mut cluster =
        Cluster::with([pinned("p", "10.0.0.0/24", namespaces(&["shop"], 1)), pool("q", "10.0.1.0/24")]);
    cluster.create("shop/web", v4());
    assert_eq!(cluster.settled(["shop/web"]), ["10.0.0.0"]);
    cluster.set_pools([pinned("p", "10.0.0.0/24", namespaces(&["blog"], 1)), pool("q", "10.0.1.0/24")]);
    assert_eq!(cluster.settled(["shop/web"]), ["10.0.1.0"]);
    assert_eq!(cluster.cleared("shop/web"), Some("PoolNotCompatible"));
    cluster.settle();
    assert_eq!(cluster.cleared("shop/web"), None, "told once");
}

#[test]
fn the_pool_asked_for_is_the_only_one_used() {
    let mut cluster = Cluster::with([pool("a", "10.0.0.0/24"), pool("b", "10.0.1.0/32 fd00::/64")]);
    cluster.create("1", wants_pool("b", v4()));
    cluster.create("2", wants_pool("b", v4()));
    cluster.create("3", wants_pool("a", v6()));
    cluster.create("4", wants_pool("c", v4()));
    assert_eq!(
        cluster.settled(["1", "2", "3", "4"]),
        ["10.0.1.0", "PoolExhausted", "FamilyNotInPool", "UnknownPool"]
    );
}

#[test]
fn asking_for_another_pool_or_address_moves_the_service() {
    let mut cluster = Cluster::with([pool("a", "10.0.0.0/24"), pool("b", "10.0.1.0/24")]);
    cluster.create("svc", v4());
    assert_eq!(cluster.settled(["svc"]), ["10.0.0.0"]);
    cluster.edit("svc").wanted = Wanted::Pool("b".into());
    assert_eq!(cluster.settled(["svc"]), ["10.0.1.0"]);
    assert_eq!(cluster.cleared("svc"), Some("OtherPoolRequested"));
    cluster.edit("svc").wanted = Wanted::Addresses { addresses: ips("10.0.1.7"), pool: Some("b".into()) };
    assert_eq!(cluster.settled(["svc"]), ["10.0.1.7"]);
    assert_eq!(cluster.cleared("svc"), Some("OtherAddressesRequested"));
    cluster.edit("svc").wanted = Wanted::Any;
    assert_eq!(
        cluster.settled(["svc"]),
        ["10.0.1.7"],
        "asking for nothing in particular is no reason to move"
    );
}

#[test]
fn an_unreadable_request_keeps_what_there_is_and_gets_nothing_new() {
    let mut cluster = Cluster::with([pool("a", "10.0.0.0/24 fd00::/64")]);
    cluster.create("old", v4());
    cluster.settle();
    let unreadable = || Wanted::Unreadable { why: "\"10.0.0\" is not an IP address".into() };
    cluster.edit("old").wanted = unreadable();
    cluster.create("new", ServiceRequest { wanted: unreadable(), ..v4() });
    assert_eq!(cluster.settled(["old", "new"]), ["10.0.0.0", "RequestUnreadable"]);
    assert_eq!(cluster.restart().settled(["old", "new"]), ["10.0.0.0", "RequestUnreadable"]);
}

#[test]
fn certain_addresses_are_given_if_a_pool_holds_them_and_they_are_free() {
    let avoiding = Pool { avoid_buggy_ips: true, ..pool("avoiding", "10.1.0.0/24") };
    let cases = [
        // wanted, pool asked for, outcome
        ("10.0.0.9", None, "10.0.0.9"),
        ("10.0.0.9", Some("p"), "10.0.0.9"),
        ("10.0.0.9", Some("avoiding"), "AddressNotInRequestedPool"),
        ("10.0.0.0", None, "AddressInUse"),
        ("10.9.0.0", None, "AddressNotInPool"),
        ("10.1.0.255", None, "AddressNotInPool"),
        ("fd00::1", None, "FamilyMismatch"),
        ("10.0.0.9 fd00::1", None, "FamilyMismatch"),
    ];
    for (wanted, asked, outcome) in cases {
        let mut cluster = Cluster::with([pool("p", "10.0.0.0/24 fd00::/64"), avoiding.clone()]);
        cluster.create("first", wants("10.0.0.0", v4()));
        let asked = asked.map(Into::into);
        let wanted = Wanted::Addresses { addresses: ips(wanted), pool: asked };
        cluster.create("svc", ServiceRequest { wanted: wanted.clone(), ..v4() });
        assert_eq!(cluster.settled(["svc"]), [outcome], "{wanted:?}");
    }
}

#[test]
fn who_asks_for_an_address_is_served_before_who_takes_any() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.0/24")]);
    cluster.create("any", v4());
    cluster.create("picky", wants("10.0.0.0", v4()));
    assert_eq!(cluster.settled(["any", "picky"]), ["10.0.0.1", "10.0.0.0"]);
}

#[test]
fn of_newcomers_the_oldest_is_served_first_whatever_its_name() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.0/32")]);
    cluster.create("z", v4());
    cluster.create("a", v4());
    assert_eq!(cluster.settled(["z", "a"]), ["10.0.0.0", "PoolExhausted"]);
    cluster.delete("z");
    assert_eq!(cluster.settled(["a"]), ["10.0.0.0"], "a deleted Service frees its address for a pending one");
}

#[test]
fn deleting_or_shrinking_the_pool_moves_a_service_or_strips_it() {
    let mut cluster = Cluster::with([pool("a", "10.0.0.0/24"), pool("b", "10.0.1.0/32")]);
    cluster.create_all(["1", "2"], &v4());
    assert_eq!(cluster.settled(["1", "2"]), ["10.0.0.0", "10.0.0.1"]);
    cluster.set_pools([pool("a", "10.0.0.1-10.0.0.9"), pool("b", "10.0.1.0/32")]);
    assert_eq!(cluster.settled(["1", "2"]), ["10.0.0.2", "10.0.0.1"]);
    cluster.set_pools([pool("b", "10.0.1.0/32")]);
    assert_eq!(cluster.settled(["1", "2"]), ["10.0.1.0", "PoolExhausted"]);
    assert_eq!(cluster.cleared("2"), Some("AddressNotInPool"));
    cluster.set_pools([]);
    assert_eq!(cluster.settled(["1", "2"]), ["NoPools", "NoPools"]);
    assert_eq!(cluster.cleared("1"), Some("NoPools"));
}

#[test]
fn a_renamed_pool_keeps_its_services() {
    let mut cluster = Cluster::with([pool("a", "10.0.0.0/24")]);
    cluster.create("svc", v4());
    cluster.settle();
    cluster.set_pools([pool("b", "10.0.0.0/28")]);
    assert_eq!(cluster.settled(["svc"]), ["10.0.0.0"]);
    assert_eq!(cluster.pool_of("svc"), "b");
}

#[test]
fn switching_avoid_buggy_ips_on_moves_who_has_one() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.0/24")]);
    cluster.create("svc", v4());
    cluster.settle();
    cluster.set_pools([Pool { avoid_buggy_ips: true, ..pool("p", "10.0.0.0/24") }]);
    assert_eq!(cluster.settled(["svc"]), ["10.0.0.1"]);
}

#[test]
fn a_pool_whose_specification_went_wrong_gives_nothing_new_and_takes_nothing_away() {
    let mut cluster = Cluster::with([pool("a", "10.0.0.0/24"), pool("b", "10.0.1.0/24")]);
    cluster.create("1", wants_pool("b", v4()));
    cluster.settle();
    cluster.set_pools([pool("a", "10.0.0.0/24"), pool("b", "10.0.1.0/24 10.0.0.128/25")]);
    cluster.create("2", wants_pool("b", v4()));
    cluster.create("3", wants("10.0.1.7", v4()));
    cluster.create("4", v4());
    let outcomes = ["10.0.1.0", "PoolRejected", "AddressNotInPool", "10.0.0.0"];
    assert_eq!(cluster.settled(["1", "2", "3", "4"]), outcomes);
    assert_eq!(cluster.restart().settled(["1", "2", "3", "4"]), outcomes);
    assert_eq!(cluster.pool_of("1"), "b");
    let usage = cluster.allocator.usage(&cluster.pools);
    assert_eq!(usage[&"b".into()], Usage { assigned_v4: 1, ..Usage::default() });
}

#[test]
fn with_every_pool_wrong_who_has_an_address_keeps_it_and_newcomers_hear_why() {
    let mut cluster = Cluster::with([pool("b", "10.0.1.0/24")]);
    cluster.create("old", v4());
    cluster.settle();
    cluster.set_pools([pool("b", "10.0.1.0/24 10.0.1.7/32")]);
    cluster.create("new", v4());
    assert_eq!(cluster.settled(["old", "new"]), ["10.0.1.0", "NoPools"]);
    assert!(cluster.refusal("new").contains("the specification of every IPAddressPool (1) is wrong"));
}

#[test]
fn usage_counts_addresses_not_services_and_saturates() {
    let mut cluster = Cluster::with([
        Pool { avoid_buggy_ips: true, ..pool("p", "10.0.0.0/24 fd00::/126") },
        pool("wide", "::/1"),
        pool("unused", "10.1.0.0/30"),
    ]);
    cluster.create("a", shares("k", &[tcp(80)], prefer()));
    cluster.create("b", shares("k", &[tcp(81)], prefer()));
    cluster.create("c", v4());
    cluster.settle();
    let usage = cluster.allocator.usage(&cluster.pools);
    let expected = Usage { assigned_v4: 2, assigned_v6: 1, available_v4: 252, available_v6: 3 };
    assert_eq!(usage[&"p".into()], expected);
    assert_eq!(usage[&"wide".into()], Usage { available_v6: i64::MAX, ..Usage::default() });
    assert_eq!(usage[&"unused".into()], Usage { available_v4: 4, ..Usage::default() });
}

#[test]
fn an_address_that_the_pool_avoids_and_a_frozen_one_still_has_misleads_no_search() {
    let all = "10.0.0.254-10.0.1.1";
    let mut cluster = Cluster::with([pool("p", all)]);
    cluster.create("254", shares("", &[tcp(80)], v4()));
    cluster.create("255", shares("k", &[tcp(80)], v4()));
    cluster.create("0", shares("", &[tcp(80)], v4()));
    cluster.create("1", shares("l", &[tcp(80)], v4()));
    let old = ["10.0.0.254", "10.0.0.255", "10.0.1.0", "10.0.1.1"];
    assert_eq!(cluster.settled(["254", "255", "0", "1"]), old);
    cluster.set_pools([Pool { avoid_buggy_ips: true, ..pool("p", all) }, pool("rejected", all)]);
    cluster.create("new", v4());
    cluster.create("joins-255", shares("k", &[tcp(81)], v4()));
    cluster.create("joins-1", shares("l", &[tcp(81)], v4()));
    assert_eq!(cluster.settled(["254", "255", "0", "1"]), old);
    assert_eq!([cluster.pool_of("254"), cluster.pool_of("255")], ["p", "rejected"]);
    assert_eq!(
        cluster.settled(["new", "joins-255", "joins-1"]),
        ["PoolExhausted", "PoolExhausted", "10.0.1.1"]
    );
}
