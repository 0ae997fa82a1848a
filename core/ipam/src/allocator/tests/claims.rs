//! Addresses reserved by claims, and the Services bound to them.

use super::*;

mod messages;
mod waiting;

/// A pool of four addresses and a claim of its second.
fn one_claim() -> Cluster {
    let mut cluster = Cluster::with([pool("p", "10.0.0.0/30")]);
    cluster.claim("c", claims("10.0.0.1"));
    cluster
}

fn users(cluster: &Cluster, claim: &str) -> Vec<String> {
    let reservation = cluster.allocator.claims()[&claim_name(claim)].reservation().unwrap();
    reservation.services.iter().cloned().collect()
}

#[test]
fn a_claim_reserves_before_there_is_a_service_and_nobody_else_gets_the_address() {
    let mut cluster = one_claim();
    cluster.create_all(["a", "b"], &v4());
    cluster.create("asks", wants("10.0.0.1", v4()));
    cluster.create("shop/other-namespace", names_claims("c", v4()));
    assert_eq!(cluster.settled(["a", "b", "asks"]), ["10.0.0.0", "10.0.0.2", "AddressClaimed"]);
    assert_eq!(cluster.outcome("shop/other-namespace"), "ClaimNotFound");
    assert_eq!(cluster.claimed("c"), "10.0.0.1");
    let usage = cluster.allocator.usage(&cluster.pools)[&"p".into()];
    assert_eq!((usage.assigned_v4, usage.available_v4), (3, 1), "reserved is not available");
}

#[test]
fn a_service_is_bound_by_name_or_by_selector_and_counts_once() {
    let mut cluster = one_claim();
    cluster.claim("of-pool", selecting("web", claims_of("p", IpFamily::V4)));
    cluster.create("named", names_claims("c", v4()));
    cluster.create("selected", labelled("web", v4()));
    cluster.create("shop/selected", labelled("web", v4()));
    assert_eq!(cluster.settled(["named", "selected", "shop/selected"]), ["10.0.0.1", "10.0.0.0", "10.0.0.2"]);
    assert_eq!([users(&cluster, "c"), users(&cluster, "of-pool")], [["named"], ["selected"]]);
    assert_eq!(cluster.allocator.usage(&cluster.pools)[&"p".into()].assigned_v4, 3);
}

#[test]
fn an_address_outlives_its_service_also_where_others_share_by_key() {
    let mut cluster = one_claim();
    cluster.create("web", names_claims("c", shares("k", &[tcp(80)], v4())));
    cluster.create("api", names_claims("c", shares("k", &[tcp(81)], v4())));
    cluster.create("clash", names_claims("c", shares("k", &[tcp(81)], v4())));
    cluster.create("stranger", shares("k", &[tcp(82)], v4()));
    cluster.create("guest", wants("10.0.0.1", shares("k", &[tcp(83)], v4())));
    assert_eq!(
        cluster.settled(["web", "api", "clash", "stranger", "guest"]),
        ["10.0.0.1", "10.0.0.1", "PortConflict", "10.0.0.0", "AddressClaimed"]
    );
    for name in ["web", "api", "clash"] {
        cluster.delete(name);
    }
    cluster.create_all(["x", "y", "z"], &v4());
    assert_eq!(cluster.settled(["x", "y", "z"]), ["10.0.0.2", "10.0.0.3", "PoolExhausted"]);
    assert_eq!(cluster.claimed("c"), "10.0.0.1");
    cluster.create("again", names_claims("c", v4()));
    assert_eq!(cluster.restart().settled(["again"]), ["10.0.0.1"]);
}

#[test]
fn the_address_moves_with_the_annotation_and_with_the_label_in_one_round() {
    let mut cluster = one_claim();
    cluster.create("blue", names_claims("c", v4()));
    cluster.create("green", v4());
    assert_eq!(cluster.settled(["blue", "green"]), ["10.0.0.1", "10.0.0.0"]);
    cluster.edit("blue").wanted = Wanted::Any;
    cluster.edit("green").wanted = names_claims("c", v4()).wanted;
    // What green leaves is free from the next round on.
    assert_eq!(cluster.settled(["blue", "green"]), ["10.0.0.2", "10.0.0.1"]);
    assert_eq!(cluster.cleared("blue"), Some("AddressClaimed"));
    assert_eq!(cluster.cleared("green"), Some("OtherAddressesRequested"));

    cluster.edit("green").wanted = Wanted::Any;
    cluster.edit("blue").labels = labelled("live", v4()).labels;
    cluster.claims.get_mut(&claim_name("c")).unwrap().selector = Some(label_exists("live"));
    assert_eq!(cluster.settled(["blue", "green"]), ["10.0.0.1", "10.0.0.0"]);
}

#[test]
fn what_a_bound_service_has_is_adopted_without_a_change() {
    for claim in [claims("10.0.0.1"), claims_of("p", IpFamily::V4)] {
        let mut cluster = Cluster::with([pool("p", "10.0.0.0/30")]);
        cluster.create("first", v4());
        cluster.create("web", labelled("web", v4()));
        cluster.settle();
        cluster.claim("c", selecting("web", claim));
        assert_eq!(cluster.settled(["first", "web"]), ["10.0.0.0", "10.0.0.1"]);
        assert_eq!((cluster.claimed("c").as_str(), cluster.cleared("web")), ("10.0.0.1", None));
    }
}

#[test]
fn the_oldest_claim_of_each_family_counts_and_what_a_service_asks_itself_comes_first() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.0/29 fd00::/125"), pool("q", "10.1.0.0/30")]);
    cluster.claim("b-four", selecting("web", claims("10.0.0.5")));
    cluster.claim("a-four", selecting("web", claims("10.0.0.4")));
    cluster.claim("six", selecting("web", claims("fd00::5")));
    cluster.create("both", labelled("web", require()));
    cluster.create("asks", labelled("web", wants("10.0.0.4", v4())));
    cluster.create("pool", labelled("web", wants_pool("q", v4())));
    cluster.create("named", labelled("web", names_claims("a-four", shares("k", &[], v4()))));
    assert_eq!(
        cluster.settled(["both", "asks", "pool", "named"]),
        ["10.0.0.5 fd00::5", "10.0.0.4", "10.1.0.0", "AddressInUse"]
    );
}

#[test]
fn one_claim_of_a_dual_stack_service_is_completed_from_the_same_pool() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.0/30 fd00::/126"), pool("four", "10.1.0.0/30")]);
    cluster.claim("six", claims("fd00::2"));
    cluster.claim("four", claims("10.1.0.1"));
    cluster.claim("five", claims("10.0.0.3"));
    cluster.create("prefers", names_claims("six", prefer()));
    assert_eq!(cluster.settled(["prefers"]), ["fd00::2 10.0.0.0"]);
    cluster.edit("prefers").policy = FamilyPolicy::RequireDualStack;
    assert_eq!(cluster.settled(["prefers"]), ["fd00::2 10.0.0.0"]);
    cluster.create("content", names_claims("four", prefer()));
    cluster.create("strict", names_claims("four", require()));
    cluster.create("apart", names_claims("four six", require()));
    cluster.create("wrong-family", names_claims("six", v4()));
    assert_eq!(
        cluster.settled(["content", "strict", "apart", "wrong-family"]),
        ["10.1.0.1", "AddressInUse", "AddressNotInPool", "FamilyMismatch"]
    );
    assert_eq!(cluster.allocation("content").missing.as_ref().unwrap().reason(), "FamilyNotInPool");
    cluster.delete("content");
    cluster.delete("prefers");
    cluster.create("pair", names_claims("six five", require()));
    assert_eq!(cluster.settled(["strict", "pair"]), ["FamilyNotInPool", "fd00::2 10.0.0.3"]);
}

#[test]
fn when_a_claim_is_deleted_its_service_keeps_the_address_as_any_other() {
    let mut cluster = one_claim();
    cluster.create("web", names_claims("c", v4()));
    cluster.settle();
    cluster.claims.clear();
    assert_eq!(cluster.settled(["web"]), ["10.0.0.1"]);
    let unmet = |cluster: &Cluster| cluster.allocation("web").unmet.as_deref().map(Refusal::reason);
    assert_eq!(unmet(&cluster), Some("ClaimNotFound"));
    cluster.edit("web").wanted = Wanted::Any;
    assert_eq!((cluster.settled(["web"]), unmet(&cluster)), (["10.0.0.1".into()], None));
    cluster.delete("web");
    cluster.create_all(["a", "b"], &v4());
    assert_eq!(cluster.settled(["a", "b"]), ["10.0.0.0", "10.0.0.1"]);
}

#[test]
fn reservations_are_honoured_after_a_restart_before_anything_is_given() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.0/30")]);
    cluster.create("first", v4());
    cluster.settle();
    cluster.claim("z", claims_of("p", IpFamily::V4));
    cluster.settle();
    cluster.delete("first");
    cluster.create_all(["a", "b"], &v4());
    cluster.claim("a", claims_of("p", IpFamily::V4));
    cluster.restart().settle();
    assert_eq!([cluster.claimed("z"), cluster.claimed("a")], ["10.0.0.1", "10.0.0.0"]);
    assert_eq!(cluster.settled(["a", "b"]), ["10.0.0.2", "10.0.0.3"]);
    let allocated = |cluster: &Cluster, name| {
        cluster.allocator.claims()[&claim_name(name)].reservation().unwrap().change == Change::Allocated
    };
    assert!(!allocated(&cluster, "a"), "told in the round that made it");
    // Of two records of the same address the older claim's counts.
    let record = Some(ClaimRecord { address: ip("10.0.0.1"), reserved: true });
    cluster.claims.get_mut(&claim_name("a")).unwrap().recorded = record;
    cluster.restart().settle();
    assert_eq!([cluster.claimed("z"), cluster.claimed("a")], ["10.0.0.1", "10.0.0.0"]);
    assert!(!allocated(&cluster, "z") && allocated(&cluster, "a"));
}

#[test]
fn a_frozen_pool_takes_no_reservation_and_a_pool_that_comes_back_gives_the_same_address() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.0/30")]);
    cluster.claim("first", claims_of("p", IpFamily::V4));
    cluster.claim("c", claims_of("p", IpFamily::V4));
    cluster.settle();
    cluster.set_pools([pool("p", "10.0.0.0/30 10.0.0.0/31")]);
    cluster.create("new", names_claims("c", v4()));
    assert_eq!(cluster.settled(["new"]), ["10.0.0.1"], "reserved, so this gives nothing new");
    cluster.set_pools([pool("q", "10.5.0.0/30")]);
    assert_eq!(cluster.settled(["new"]), ["ClaimNotReserved"]);
    cluster.claims.remove(&claim_name("first"));
    for restarts in [false, true] {
        cluster.set_pools([pool("q", "10.5.0.0/30")]);
        cluster.settle();
        assert_eq!(cluster.claimed("c"), "UnknownPool");
        if restarts {
            cluster.restart();
        }
        cluster.set_pools([pool("p", "10.0.0.0/30")]);
        assert_eq!(
            (cluster.settled(["new"]), cluster.claimed("c").as_str()),
            (["10.0.0.1".into()], "10.0.0.1")
        );
    }
}

#[test]
fn who_asks_for_a_certain_address_goes_before_who_takes_any_and_then_the_older() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.0/31")]);
    cluster.claim("any", claims_of("p", IpFamily::V4));
    cluster.claim("older", claims("10.0.0.0"));
    cluster.claim("a-younger", claims("10.0.0.0"));
    cluster.claim("later", claims_of("p", IpFamily::V4));
    cluster.settle();
    assert_eq!(
        ["any", "older", "a-younger", "later"].map(|name| cluster.claimed(name)),
        ["10.0.0.1", "10.0.0.0", "AddressClaimed", "PoolExhausted"]
    );
}
