//! Claims that have to wait, and what that means for Services.

use super::*;

#[test]
fn an_address_in_use_by_a_stranger_is_kept_by_it_and_then_reserved_and_given_to_nobody_between() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.0/30")]);
    cluster.create("stranger", shares("k", &[tcp(80)], v4()));
    cluster.settle();
    cluster.claim("c", claims("10.0.0.0"));
    cluster.create("guest", shares("k", &[tcp(81)], v4()));
    cluster.create("asks", wants("10.0.0.0", shares("k", &[tcp(82)], v4())));
    cluster.create("bound", names_claims("c", v4()));
    let expected = ["10.0.0.0", "10.0.0.1", "AddressClaimed", "ClaimNotReserved"];
    assert_eq!(cluster.settled(["stranger", "guest", "asks", "bound"]), expected);
    assert_eq!(cluster.claimed("c"), "AddressInUse");
    assert_eq!(cluster.restart().settled(["stranger", "guest", "asks", "bound"]), expected);
    // Released in this round, so reserved in the next; nobody else gets it between.
    cluster.edit("stranger").wanted = wants("10.0.0.3", v4()).wanted;
    assert_eq!(
        cluster.settled(["stranger", "asks", "bound"]),
        ["10.0.0.3", "AddressClaimed", "ClaimNotReserved"]
    );
    assert_eq!(cluster.settled(["bound"]), ["10.0.0.0"]);
    assert_eq!(cluster.claimed("c"), "10.0.0.0");
}

#[test]
fn a_stranger_that_is_bound_later_brings_its_address_along() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.0/30")]);
    cluster.create("web", v4());
    cluster.settle();
    cluster.claim("c", claims("10.0.0.0"));
    cluster.settle();
    cluster.edit("web").wanted = names_claims("c", v4()).wanted;
    assert_eq!(cluster.settled(["web"]), ["10.0.0.0"]);
    assert_eq!((cluster.claimed("c").as_str(), cluster.cleared("web")), ("10.0.0.0", None));
}

#[test]
fn a_service_keeps_what_it_has_while_its_claim_is_missing_or_waits_and_gets_nothing_new() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.0/30 fd00::/126")]);
    cluster.create("web", prefer());
    cluster.edit("web").families = Families::V4;
    cluster.create("holder", v4());
    cluster.settle();
    cluster.claim("busy", claims("10.0.0.1"));
    cluster.edit("web").families = prefer().families;
    for (claim, reason) in [("busy", "ClaimNotReserved"), ("missing", "ClaimNotFound")] {
        cluster.edit("web").wanted = names_claims(claim, v4()).wanted;
        assert_eq!(cluster.settled(["web"]), ["10.0.0.0"], "no second family either");
        assert_eq!(cluster.allocation("web").unmet.as_ref().unwrap().reason(), reason);
        cluster.create("new", names_claims(claim, v4()));
        assert_eq!(cluster.settled(["new"]), [reason]);
        cluster.delete("new");
    }
    cluster.edit("web").wanted = names_claims("busy", v4()).wanted;
    cluster.delete("holder");
    assert_eq!(cluster.settled(["web"]), ["10.0.0.1 fd00::"]);
    assert_eq!(cluster.cleared("web"), Some("OtherAddressesRequested"));
}

#[test]
fn a_claim_that_cannot_be_read_any_more_loses_nothing_to_others() {
    let mut cluster = one_claim();
    cluster.create("web", names_claims("c", v4()));
    cluster.settle();
    let readable = cluster.claims[&claim_name("c")].clone();
    let unreadable = ClaimWant::Unreadable { why: "typing error".into() };
    cluster.claims.get_mut(&claim_name("c")).unwrap().want = unreadable;
    cluster.create_all(["a", "b"], &v4());
    cluster.create("asks", wants("10.0.0.1", v4()));
    for _ in 0..2 {
        assert_eq!(cluster.settled(["web", "a", "b"]), ["10.0.0.1", "10.0.0.0", "10.0.0.2"]);
        assert_eq!(cluster.claimed("c"), "ClaimUnreadable");
        cluster.restart();
    }
    cluster.delete("web");
    assert_eq!(cluster.settled(["asks"]), ["AddressClaimed"]);
    cluster.claims.insert(claim_name("c"), readable);
    cluster.settle();
    assert_eq!(cluster.claimed("c"), "10.0.0.1");
}

#[test]
fn a_claim_moves_when_its_specification_does_and_its_services_with_it() {
    let mut cluster = one_claim();
    cluster.create("web", names_claims("c", v4()));
    cluster.create("other", v4());
    cluster.settle();
    cluster.claims.get_mut(&claim_name("c")).unwrap().want = ClaimWant::Address(ip("10.0.0.0"));
    assert_eq!(cluster.settled(["web", "other"]), ["10.0.0.1", "10.0.0.0"], "it waits");
    cluster.claims.get_mut(&claim_name("c")).unwrap().want = ClaimWant::Address(ip("10.0.0.3"));
    assert_eq!(cluster.settled(["web", "other"]), ["10.0.0.3", "10.0.0.0"]);
    cluster.create("late", v4());
    assert_eq!(cluster.settled(["late"]), ["10.0.0.1"]);
}

#[test]
fn claims_that_wait_for_each_other_are_all_served_within_as_many_rounds_as_there_are() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.0/28")]);
    let last = 9;
    for number in 0..=last {
        cluster.create(&std::format!("s{number}"), v4());
    }
    cluster.settle();
    // Each Service is to have the address of the next; the last one's is free once it is deleted.
    for number in 0..last {
        cluster.claim(&std::format!("c{number}"), claims(&std::format!("10.0.0.{}", number + 1)));
        cluster.edit(&std::format!("s{number}")).wanted = Wanted::Claims([std::format!("c{number}")].into());
    }
    cluster.settle();
    assert_eq!(cluster.outcome("s0"), "10.0.0.0");
    cluster.delete(&std::format!("s{last}"));
    for _ in 0..last {
        cluster.settle();
    }
    assert_eq!([cluster.outcome("s0"), cluster.outcome("s8")], ["10.0.0.1", "10.0.0.9"]);
}

#[test]
fn a_selector_that_matches_too_many_takes_no_address_from_a_running_service() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.0/29")]);
    cluster.create_all(["web", "api"], &labelled("app", v4()));
    cluster.settle();
    cluster.claim("c", selecting("app", claims_of("p", IpFamily::V4)));
    cluster.create("new", labelled("app", v4()));
    for _ in 0..2 {
        assert_eq!(cluster.settled(["web", "api", "new"]), ["10.0.0.0", "10.0.0.1", "AddressInUse"]);
        assert_eq!(cluster.allocation("api").unmet.as_ref().unwrap().reason(), "AddressInUse");
        cluster.restart();
    }
    cluster.delete("web");
    assert_eq!(cluster.settled(["api", "new"]), ["10.0.0.0", "AddressInUse"]);
}

#[test]
fn who_moves_to_its_claim_takes_an_address_of_the_other_family_along() {
    for policy in [FamilyPolicy::PreferDualStack, FamilyPolicy::RequireDualStack] {
        let mut cluster = Cluster::with([pool("p", "10.0.0.0/29 fd00::/125")]);
        cluster.create("first", require());
        cluster.create("web", ServiceRequest { policy, ..prefer() });
        cluster.settle();
        cluster.delete("first");
        cluster.claim("c", claims("10.0.0.5"));
        cluster.edit("web").wanted = names_claims("c", v4()).wanted;
        assert_eq!(cluster.settled(["web"]), ["10.0.0.5 fd00::1"]);
        assert_eq!(cluster.restart().settled(["web"]), ["10.0.0.5 fd00::1"]);
    }
}
