//! What users read about claims.

use super::*;

#[test]
fn why_a_claim_has_no_address() {
    let mut cluster = Cluster::with([
        Pool { avoid_buggy_ips: true, ..pool("p", "10.0.0.0/30") },
        pinned("shop", "10.1.0.0/24", namespaces(&["shop"], 1)),
        pool("wrong", "10.2.0.0/24 10.2.0.0/25"),
    ]);
    cluster.create("web", v4());
    cluster.settle();
    cluster.claim("first", claims("10.0.0.2"));
    let unreadable = ClaimRequest::new(ClaimWant::Unreadable { why: "spec.address: \"x\"".into() });
    for (claim, expected) in [
        (
            claims("10.0.0.1"),
            "10.0.0.1 is in use by default/web; it is reserved as soon as it is released, or as soon as all who use \
             it are bound to this claim by ferrolb.io/address-claim or spec.serviceSelector",
        ),
        (
            claims("10.0.0.2"),
            "10.0.0.2 belongs to AddressClaim default/first, which was first; delete that or claim another address",
        ),
        (claims("10.9.0.1"), "10.9.0.1 is in no IPAddressPool; add it to one or ask for another address"),
        (
            claims("10.0.0.0"),
            "pool p has avoidBuggyIPs, and 10.0.0.0 ends in .0 or .255; ask for another address or switch \
             avoidBuggyIPs off",
        ),
        (
            claims("10.1.0.1"),
            "pool shop is not for this claim: its serviceAllocation does not admit namespace \"default\"; change that \
             or claim an address of another pool",
        ),
        (
            claims_of("nowhere", IpFamily::V4),
            "unknown pool \"nowhere\": no IPAddressPool has this name; create it or correct spec.pool",
        ),
        (
            claims_of("wrong", IpFamily::V4),
            "pool wrong gives no new address while its specification is wrong; correct what the IPAddressPool's \
             conditions name",
        ),
        (
            claims_of("p", IpFamily::V6),
            "no available IPs in pool p: pool p has no IPv6 addresses; add addresses of that family or change \
             spec.family",
        ),
        (unreadable, "the claim cannot be read: spec.address: \"x\""),
    ] {
        cluster.claim("second", claim);
        cluster.settle();
        let refusal = cluster.allocator.claims()[&claim_name("second")].refusal().unwrap();
        assert_eq!(refusal.to_string(), expected);
    }
    cluster.claim("second", claims_of("p", IpFamily::V4));
    cluster.claim("third", claims_of("p", IpFamily::V4));
    cluster.settle();
    assert_eq!(
        cluster.allocator.claims()[&claim_name("third")].refusal().unwrap().to_string(),
        "no available IPs in pool p: pool p has 3 addresses, all in use or reserved (2 by AddressClaims); add \
         addresses to the pool or release one"
    );
}

#[test]
fn why_a_service_has_no_claimed_address() {
    let mut cluster = Cluster::with([pool("p", "10.0.0.0/31"), pool("one", "10.1.0.0/32")]);
    cluster.claim("c", claims("10.0.0.1"));
    cluster.claim("d", claims("10.1.0.0"));
    cluster.claim("e", claims("10.9.0.0"));
    cluster.create("web", wants_pool("p", v4()));
    for (request, expected) in [
        (
            wants("10.0.0.1", v4()),
            "10.0.0.1 is kept for AddressClaim default/c; bind the Service to it with annotation \
             ferrolb.io/address-claim: c in namespace default, or use another address",
        ),
        (
            names_claims("none", v4()),
            "there is no AddressClaim default/none; create it in the Service's namespace or correct \
             ferrolb.io/address-claim",
        ),
        (
            names_claims("e", v4()),
            "AddressClaim default/e has no address: 10.9.0.0 is in no IPAddressPool; add it to one or ask for another \
             address",
        ),
        (
            wants_pool("p", v4()),
            "no available IPs in pool p: pool p has 2 addresses, all in use or reserved (1 by an AddressClaim); add \
             addresses to the pool or delete a Service that uses one",
        ),
        (
            wants_pool("one", shares("k", &[], v4())),
            "no available IPs in pool one: the one IPv4 address of pool one is reserved by an AddressClaim; add \
             addresses to the pool or delete a Service that uses one. An address in use is only shared where \
             metallb.io/allow-shared-ip is equal, the ports are free, and externalTrafficPolicy is either Cluster on \
             all, or Local with equal selectors",
        ),
    ] {
        cluster.create("svc", request);
        cluster.settle();
        assert_eq!(cluster.refusal("svc"), expected);
        cluster.delete("svc");
    }
}
