//! Who may use an address beside whom.

use super::*;

/// A one-address pool with a first Service on it and a second that comes to it: what the second gets.
fn second_gets(first: ServiceRequest, second: ServiceRequest) -> String {
    let mut cluster = Cluster::with([pool("p", "10.0.0.1/32")]);
    cluster.create("first", first);
    cluster.create("other/second", second);
    let [first, second] = cluster.settled(["first", "other/second"]);
    assert_eq!(first, "10.0.0.1");
    second
}

fn local_to(app: &str, request: ServiceRequest) -> ServiceRequest {
    let terms = Terms { backend: local(app), ..Terms::clone(&request.terms) };
    ServiceRequest { terms: Arc::new(terms), ..request }
}

#[test]
fn two_share_an_address_if_keys_and_backends_agree_and_ports_differ() {
    let (web, api) = (|key| shares(key, &[tcp(80)], v4()), |key| shares(key, &[tcp(81)], v4()));
    let udp = |key, port| shares(key, &[Port { protocol: Protocol::Udp, port }], v4());
    let cases = [
        ("equal keys", web("k"), api("k"), true),
        ("different keys", web("k"), api("l"), false),
        ("no key on the first", web(""), api("k"), false),
        ("no key on the second", web("k"), api(""), false),
        ("no key on either", web(""), api(""), false),
        ("the same port", web("k"), web("k"), false),
        ("the same port of another protocol", web("k"), udp("k", 80), true),
        ("one port of several", web("k"), shares("k", &[tcp(79), tcp(80)], v4()), false),
        ("Local with equal selectors", local_to("a", web("k")), local_to("a", api("k")), true),
        ("Local with different selectors", local_to("a", web("k")), local_to("b", api("k")), false),
        ("Cluster, then Local", web("k"), local_to("a", api("k")), false),
        ("Local, then Cluster", local_to("a", web("k")), api("k"), false),
    ];
    for (case, first, second, shared) in cases {
        let expected = if shared { "10.0.0.1" } else { "PoolExhausted" };
        assert_eq!(second_gets(first.clone(), second.clone()), expected, "{case}");
        let asks = |request| wants("10.0.0.1", request);
        assert_eq!(second_gets(asks(first), asks(second)) == "10.0.0.1", shared, "{case}, asked for");
    }
}

#[test]
fn local_with_an_empty_selector_shares_with_cluster() {
    let local = BackendKey::local(&ferrolb_vocab::Labels::default());
    let web = shares("k", &[tcp(80)], v4());
    let api = shares("k", &[tcp(81)], v4());
    let terms = Terms { backend: local, ..Terms::clone(&api.terms) };
    let api = ServiceRequest { terms: Arc::new(terms), ..api };
    assert_eq!(second_gets(web, api), "10.0.0.1");
}

#[test]
fn sharing_is_permitted_not_preferred() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.0/24")]);
    cluster.create("taken", v4());
    cluster.create("free-below", v4());
    cluster.create("first", shares("k", &[tcp(80)], v4()));
    cluster.settle();
    cluster.delete("free-below");
    cluster.create("second", shares("k", &[tcp(81)], v4()));
    cluster.create("third", shares("k", &[tcp(82)], v4()));
    cluster.create("fourth", shares("k", &[tcp(81)], v4()));
    assert_eq!(
        cluster.settled(["first", "second", "third", "fourth"]),
        ["10.0.0.2", "10.0.0.1", "10.0.0.1", "10.0.0.2"],
        "the lowest address that will do, free or shared"
    );
}

#[test]
fn a_second_service_without_ports_still_needs_the_keys() {
    assert_eq!(second_gets(shares("k", &[], v4()), shares("k", &[], v4())), "10.0.0.1");
    assert_eq!(second_gets(shares("k", &[], v4()), shares("l", &[], v4())), "PoolExhausted");
}

#[test]
fn refusals_of_a_shared_address_tell_which_rule() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.1/32")]);
    let at = |request| wants("10.0.0.1", request);
    cluster.create("first", at(shares("k", &[tcp(80)], v4())));
    cluster.create("same-port", at(shares("k", &[tcp(80)], v4())));
    cluster.create("other-key", at(shares("l", &[tcp(81)], v4())));
    cluster.create("no-key", at(shares("", &[tcp(82)], v4())));
    assert_eq!(
        cluster.settled(["same-port", "other-key", "no-key"]),
        ["PortConflict", "SharingMismatch", "AddressInUse"]
    );
}

#[test]
fn the_only_user_of_an_address_may_change_its_terms() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.1/32")]);
    cluster.create("svc", shares("k", &[tcp(80)], v4()));
    cluster.settle();
    cluster.edit("svc").terms = shares("l", &[tcp(81)], v4()).terms;
    assert_eq!(cluster.settled(["svc"]), ["10.0.0.1"]);
    assert_eq!(cluster.cleared("svc"), None);
    cluster.create("new", shares("l", &[tcp(80)], v4()));
    assert_eq!(cluster.settled(["new"]), ["10.0.0.1"], "the old port is free");
}

#[test]
fn of_two_that_share_the_one_that_changes_loses_the_address() {
    for changing in ["a", "b"] {
        let staying = if changing == "a" { "b" } else { "a" };
        let changes: [fn(&mut Terms); 4] = [
            |terms| terms.sharing = SharingKey::new("other"),
            |terms| terms.sharing = None,
            |terms| terms.backend = local("x"),
            |terms| terms.ports.extend([tcp(80), tcp(81)]),
        ];
        for change in changes {
            let mut cluster = Cluster::with([pool("p", "10.0.0.1/32")]);
            cluster.create("a", shares("k", &[tcp(80)], v4()));
            cluster.create("b", shares("k", &[tcp(81)], v4()));
            assert_eq!(cluster.settled(["a", "b"]), ["10.0.0.1", "10.0.0.1"]);
            change(cluster.edit_terms(changing));
            assert_eq!(cluster.settled([staying, changing]), ["10.0.0.1", "PoolExhausted"]);
            assert!(cluster.cleared(changing).is_some());
            assert_eq!(cluster.restart().settled([staying, changing]), ["10.0.0.1", "PoolExhausted"]);
        }
    }
}

/// The end-to-end test "reconsider services when sharing conditions change" of MetalLB.
#[test]
fn traffic_policy_and_selector_changes_strip_and_restore_a_shared_address() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.1/32")]);
    cluster.create("1", shares("k", &[tcp(80)], v4()));
    cluster.create("2", shares("k", &[tcp(81)], v4()));
    assert_eq!(cluster.settled(["1", "2"]), ["10.0.0.1", "10.0.0.1"]);
    cluster.edit_terms("2").backend = local("a");
    assert_eq!(cluster.settled(["1", "2"]), ["10.0.0.1", "PoolExhausted"]);
    cluster.edit_terms("1").backend = local("a");
    assert_eq!(cluster.settled(["1", "2"]), ["10.0.0.1", "10.0.0.1"]);
    cluster.edit_terms("1").backend = local("b");
    assert_eq!(cluster.settled(["1", "2"]), ["PoolExhausted", "10.0.0.1"]);
    cluster.edit_terms("2").backend = local("b");
    assert_eq!(cluster.settled(["1", "2"]), ["10.0.0.1", "10.0.0.1"]);
}

#[test]
fn two_that_change_alike_at_once_go_on_sharing() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.1/32")]);
    cluster.create("1", shares("k", &[tcp(80)], v4()));
    cluster.create("2", shares("k", &[tcp(81)], v4()));
    cluster.settle();
    for name in ["1", "2"] {
        cluster.edit_terms(name).backend = local("a");
    }
    assert_eq!(cluster.settled(["1", "2"]), ["10.0.0.1", "10.0.0.1"]);
    assert_eq!(cluster.cleared("1").or(cluster.cleared("2")), None);
}
