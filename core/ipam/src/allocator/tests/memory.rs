//! Between a decision and its echo, and across restarts.

use super::*;

#[test]
fn an_address_whose_record_has_not_arrived_is_not_given_twice() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.0/24")]);
    cluster.create("a", v4());
    cluster.allocator.reconcile(&cluster.pools, &cluster.claims, &cluster.services);
    cluster.create("0-earlier-by-name", v4());
    cluster.allocator.reconcile(&cluster.pools, &cluster.claims, &cluster.services);
    assert_eq!([cluster.outcome("a"), cluster.outcome("0-earlier-by-name")], ["10.0.0.0", "10.0.0.1"]);
    assert_eq!(cluster.allocation("a").change, Change::Kept);
}

#[test]
fn an_old_record_does_not_bring_back_what_was_taken_away() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.0/24")]);
    cluster.create("a", v4());
    cluster.settle();
    cluster.set_pools([]);
    cluster.allocator.reconcile(&cluster.pools, &cluster.claims, &cluster.services);
    assert_eq!(cluster.outcome("a"), "NoPools");
    cluster.set_pools([pool("p", "10.0.0.0/24")]);
    cluster.edit("a").recorded = ips("10.0.0.9");
    assert_eq!(cluster.settled(["a"]), ["10.0.0.0"]);
}

#[test]
fn what_someone_else_writes_into_the_record_is_overruled() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.0/24")]);
    cluster.create("a", v4());
    cluster.create("b", v4());
    cluster.settle();
    cluster.edit("b").recorded = ips("10.0.0.0");
    assert_eq!(cluster.settled(["a", "b"]), ["10.0.0.0", "10.0.0.1"]);
    cluster.edit("b").recorded = Vec::new();
    assert_eq!(cluster.settled(["a", "b"]), ["10.0.0.0", "10.0.0.1"]);
}

/// MetalLB's end-to-end test of a two-address pool with four Services over controller restarts.
#[test]
fn a_restart_changes_nothing_and_pending_services_steal_nothing() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.0/31")]);
    cluster.create_all(["d", "c"], &v4());
    cluster.settle();
    cluster.create_all(["b", "a"], &v4());
    let expected = ["PoolExhausted", "PoolExhausted", "10.0.0.1", "10.0.0.0"];
    for _ in 0..5 {
        assert_eq!(cluster.restart().settled(["a", "b", "c", "d"]), expected);
        assert_eq!(cluster.allocation("c").change, Change::Kept);
    }
}

#[test]
fn at_start_records_win_over_newcomers_however_old() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.0/24")]);
    cluster.create("older", v4());
    cluster.create("asks", wants("10.0.0.0", v4()));
    cluster.create("recorded", ServiceRequest { recorded: ips("10.0.0.0"), ..v4() });
    assert_eq!(cluster.settled(["older", "asks", "recorded"]), ["10.0.0.1", "AddressInUse", "10.0.0.0"]);
}

#[test]
fn of_two_records_of_one_address_the_older_service_keeps_it() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.0/24")]);
    cluster.create("b", ServiceRequest { recorded: ips("10.0.0.5"), ..v4() });
    cluster.create("a", ServiceRequest { recorded: ips("10.0.0.5"), ..v4() });
    assert_eq!(cluster.settled(["b", "a"]), ["10.0.0.5", "10.0.0.0"]);
    assert_eq!(cluster.cleared("a"), Some("AddressInUse"));
}

#[test]
fn a_service_that_leaves_the_map_is_forgotten_with_its_addresses() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.0/32")]);
    cluster.create("a", v4());
    cluster.create("b", v4());
    cluster.settle();
    let a = cluster.services.remove(&key("a")).unwrap();
    assert_eq!(cluster.settled(["b"]), ["10.0.0.0"]);
    cluster.services.insert(key("a"), a);
    assert_eq!(
        cluster.settled(["a", "b"]),
        ["PoolExhausted", "10.0.0.0"],
        "its old record counts for nothing"
    );
}

#[test]
fn the_change_is_told_in_the_round_that_made_it() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.0/32")]);
    cluster.create("a", v4());
    cluster.settle();
    assert_eq!(cluster.allocation("a").change, Change::Allocated);
    cluster.settle();
    assert_eq!(cluster.allocation("a").change, Change::Kept);
}

#[test]
fn what_was_decided_comes_before_an_older_record_even_when_terms_change() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.5/32")]);
    cluster.create("younger", shares("k", &[tcp(80)], v4()));
    cluster.settle();
    cluster.edit("younger").terms = Arc::default();
    cluster.create("older", ServiceRequest { recorded: ips("10.0.0.5"), ..v4() });
    cluster.edit("older").created = 0;
    assert_eq!(cluster.settled(["younger", "older"]), ["10.0.0.5", "PoolExhausted"]);
}
