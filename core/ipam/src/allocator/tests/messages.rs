//! What users read, and what they search for.

use super::*;

/// A cluster in which much is taken, and the message that `request` gets in it.
fn message(request: ServiceRequest) -> String {
    let mut cluster = Cluster::with([
        pool("lb-pool", "192.168.100.240-192.168.100.241"),
        Pool { auto_assign: false, avoid_buggy_ips: true, ..pool("manual", "10.0.0.0/24 fd00::5/128") },
        pinned("shop", "10.1.0.0/24", namespaces(&["shop"], 1)),
        pool("wrong", "10.2.0.0/24 10.2.0.0/25"),
    ]);
    cluster.create("web", wants("192.168.100.240", shares("k", &[tcp(80)], v4())));
    cluster.create("api", wants("192.168.100.241", v4()));
    cluster.create("six", wants("fd00::5", v6()));
    cluster.create("svc", request);
    cluster.settle();
    cluster.refusal("svc")
}

fn check(cases: impl IntoIterator<Item = (ServiceRequest, &'static str)>) {
    for (request, expected) in cases {
        assert_eq!(message(request), expected);
    }
}

// Each message says what is so, where, why, and what to do, and contains MetalLB's words where it has any.

#[test]
fn messages_about_pools() {
    check([
        (
            v4(),
            "no available IPs: pool lb-pool has 2 addresses, all in use; add addresses to the pool or delete a \
             Service that uses one",
        ),
        (
            wants_pool("lb-pool", v4()),
            "no available IPs in pool lb-pool: pool lb-pool has 2 addresses, all in use; add addresses to the pool \
             or delete a Service that uses one",
        ),
        (
            wants_pool("manual", v6()),
            "no available IPs in pool manual: the one IPv6 address of pool manual is in use; add addresses to the \
             pool or delete a Service that uses one",
        ),
        (
            v6(),
            "no available IPs: pool lb-pool has no IPv6 addresses; add addresses of that family or change the \
             Service's spec.ipFamilies",
        ),
        (
            wants_pool("lb-pool", require()),
            "no available IPs in pool lb-pool for dual IPFamily: pool lb-pool has no IPv6 addresses; add addresses of \
             that family or change the Service's spec.ipFamilies",
        ),
        (
            wants_pool("nowhere", v4()),
            "unknown pool \"nowhere\": no IPAddressPool has this name; create it or correct metallb.io/address-pool",
        ),
        (
            wants_pool("wrong", v4()),
            "pool wrong gives no new address while its specification is wrong; correct what the IPAddressPool's \
             conditions name",
        ),
        (
            wants_pool("shop", v4()),
            "pool shop not compatible for ip assignment: its serviceAllocation does not admit namespace \"default\"; \
             change that or let the Service ask for another pool",
        ),
    ]);
}

#[test]
fn messages_about_addresses() {
    let asks = |addresses: &str, pool: &str| ServiceRequest {
        wanted: Wanted::Addresses { addresses: ips(addresses), pool: Some(pool.into()) },
        ..v4()
    };
    check([
        (
            wants("10.9.0.1", v4()),
            "[\"10.9.0.1\"] is not allowed in config: 10.9.0.1 is in no IPAddressPool; add it to one or ask for \
             another address",
        ),
        (
            wants("10.0.0.255", v4()),
            "[\"10.0.0.255\"] is not allowed in config: pool manual has avoidBuggyIPs, and 10.0.0.255 ends in .0 or \
             .255; ask for another address or switch avoidBuggyIPs off",
        ),
        (
            wants("10.2.0.1", v4()),
            "[\"10.2.0.1\"] is not allowed in config: 10.2.0.1 is in pool wrong, which gives no new address while \
             its specification is wrong; correct what the IPAddressPool's conditions name",
        ),
        (
            wants("10.0.0.7 10.1.0.7", v4()),
            "requested loadBalancer IP(s) [\"10.0.0.7\" \"10.1.0.7\"] does not match the ipFamily of the service: its \
             cluster IPs are IPv4; ask for one address of each family, or for none",
        ),
        (
            wants("192.168.100.250 fd00::7", require()),
            "[\"192.168.100.250\" \"fd00::7\"] is not allowed in config: 192.168.100.250 is in no IPAddressPool; add \
             it to one or ask for another address",
        ),
        (
            wants("192.168.100.240 fd00::5", require()),
            "[\"192.168.100.240\" \"fd00::5\"] is not allowed in config: pools lb-pool and manual hold one each; ask \
             for both addresses from one pool",
        ),
        (
            asks("10.0.0.7", "lb-pool"),
            "requested loadBalancer IP(s) [\"10.0.0.7\"] is not compatible with requested address pool lb-pool: it \
             belongs to pool manual; ask for one or the other",
        ),
    ]);
}

#[test]
fn messages_about_sharing_and_the_service_itself() {
    check([
        (
            wants("192.168.100.240", shares("k", &[tcp(80)], v4())),
            "port TCP/80 is already in use on \"192.168.100.240\" by default/web; change the port or the sharing key \
             of one",
        ),
        (
            wants("192.168.100.240", shares("other", &[tcp(81)], v4())),
            "can't change sharing key for \"default/svc\", address also in use by default/web: to share \
             192.168.100.240, metallb.io/allow-shared-ip must be equal, and externalTrafficPolicy either Cluster on \
             all, or Local with equal selectors",
        ),
        (
            wants("192.168.100.241", v4()),
            "can't change sharing key for \"default/svc\", address also in use by default/api: 192.168.100.241 is \
             only shared by Services that all carry the same metallb.io/allow-shared-ip; set it on each of them or \
             choose another address",
        ),
        (
            ServiceRequest { policy: FamilyPolicy::RequireDualStack, ..v6() },
            "Service requires dual stack but not enough clusterips: IPv6 only; set spec.ipFamilyPolicy to what the \
             cluster network offers",
        ),
        (
            ServiceRequest {
                wanted: Wanted::Unreadable { why: "\"x\" is not an IP address".into() },
                ..v4()
            },
            "invalid requested loadbalancer IPs: \"x\" is not an IP address",
        ),
    ]);
}

#[test]
fn with_no_pool_or_none_that_fits_the_message_says_which_it_is() {
    let mut cluster = Cluster::with([]);
    cluster.create("svc", v4());
    cluster.settle();
    assert_eq!(cluster.refusal("svc"), "no available IPs: there is no IPAddressPool; create one");
    cluster.set_pools([
        Pool { auto_assign: false, ..pool("manual", "10.0.0.0/24") },
        pinned("shop", "10.1.0.0/24", namespaces(&["shop"], 1)),
    ]);
    cluster.settle();
    assert_eq!(
        cluster.refusal("svc"),
        "no available IPs: pools with autoAssign off: 1, other pools, which do not admit Services of namespace \
         \"default\" with these labels: 1; name a pool with metallb.io/address-pool, or change autoAssign or \
         serviceAllocation of one"
    );
}

#[test]
fn long_lists_are_cut_and_counted() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.0/32")]);
    for port in 1..=8 {
        cluster.create(&std::format!("s{port}"), shares("k", &[tcp(port)], v4()));
    }
    cluster.settle();
    cluster.create("svc", wants("10.0.0.0", v4()));
    cluster.settle();
    let refusal = cluster.refusal("svc");
    let expected =
        "address also in use by default/s1, default/s2, default/s3, default/s4, default/s5 and 3 more: ";
    assert!(refusal.contains(expected), "{refusal}");
}

/// Otherwise the condition would be written twice.
#[test]
fn the_reason_given_is_the_one_that_the_next_round_finds() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.0/32 fd00::/128")]);
    cluster.create("four", v4());
    cluster.create("both", require());
    cluster.create("six", v6());
    assert_eq!(cluster.settled(["both", "six"]), ["PoolExhausted", "fd00::"]);
    let first = cluster.refusal("both");
    assert!(
        first.contains("the one IPv6 address of pool p is in use"),
        "taken after it was refused: {first}"
    );
    cluster.settle();
    assert_eq!(cluster.refusal("both"), first);
    cluster.restart().settle();
    assert_eq!(cluster.refusal("both"), first);
}

#[test]
fn the_users_of_an_address_are_named_in_the_same_order_whoever_came_first() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.0/32")]);
    cluster.create("z", shares("k", &[tcp(1)], v4()));
    cluster.create("a", shares("k", &[tcp(2)], v4()));
    cluster.settle();
    cluster.create("svc", wants("10.0.0.0", v4()));
    cluster.settle();
    let refusal = cluster.refusal("svc");
    assert!(refusal.contains("in use by default/a, default/z: "), "{refusal}");
}
