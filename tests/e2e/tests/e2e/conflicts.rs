//! Another host has an address: the cluster sees it, says so, and keeps out of its way.

use std::time::{Duration, Instant};

use ferrolb_e2e::{Cluster, Kind, SOON, eventually, say, service_yaml, stays};

const LB: &str = "192.168.100.240";
const LB_URL: &str = "http://192.168.100.240";
const NEXT: &str = "192.168.100.241";
/// An address of the LAN that nobody has.
const NOBODY_URL: &str = "http://192.168.100.99";
const CONFLICT: &str = "ferrolb.io/AddressConflict";
/// What an absent condition looks like.
const ABSENT: &str = " : ";

/// Gives the address to the client, or takes it away.
fn client_address(cluster: &Cluster, verb: &str) {
    let argv = ["ip", "address", verb, &format!("{LB}/32"), "dev", "eth0"];
    let output = cluster.lab.exec("client", &argv).expect("the client is there");
    assert!(output.status.success(), "{argv:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The client claims the address: it asks from it for another.
fn client_claims(cluster: &Cluster) {
    let argv = ["curl", "-s", "--max-time", "1", "--interface", LB, NOBODY_URL];
    // There is no answer, and none is needed.
    drop(cluster.lab.exec("client", &argv));
}

/// Leaves nothing behind that another test would meet, however this one ends: neither the client's address
/// nor what speakers remember of it.
struct Forget<'a>(&'a Cluster);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        let Self(cluster) = self;
        drop(cluster.lab.exec("client", &["ip", "address", "del", &format!("{LB}/32"), "dev", "eth0"]));
        let speakers = ["-n", "ferrolb-system", "-l", "app.kubernetes.io/component=speaker"];
        drop(cluster.lab.kubectl(&[&["delete", "pods"], &speakers[..]].concat()));
        let conflicts =
            ["get", "nodestates", "-o", "jsonpath={.items[*].status.links[*].conflicts[*].address}"];
        let end = Instant::now() + SOON;
        while Instant::now() < end {
            let known = cluster.lab.kubectl(&conflicts).map(|output| output.stdout);
            if known.is_ok_and(|known| known.is_empty()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

fn wait_no_conflict(cluster: &Cluster, service: &str) {
    eventually(&format!("{service} has no conflict"), || {
        match cluster.condition(&["service", service], CONFLICT) {
            found if found == ABSENT => Ok(()),
            found => Err(found),
        }
    });
}

fn conflict_events(cluster: &Cluster, service: &str) -> usize {
    cluster.events(service).iter().filter(|event| event.contains("AddressConflict")).count()
}

#[test]
fn an_address_that_a_host_has_is_neither_announced_nor_given_until_it_is_free() {
    let cluster = Cluster::fresh();
    let _forget = Forget(&cluster);
    let mac = cluster.mac("client", "eth0");
    let capture = cluster.capture("router", "eth0");
    client_address(&cluster, "add");
    cluster.create_pool();
    cluster.create_example("rs-web-v1.yaml");
    cluster.create_example("svc-node-web-lb.yaml");
    cluster.wait_addresses("svc-lb", &[LB]);

    let text = cluster.wait_condition(&["service", "svc-lb"], CONFLICT, "True InUseByAnotherHost");
    assert!(text.contains(&mac) && text.contains(LB) && text.contains("on eth0"), "{text}");
    cluster.wait_event("svc-lb", "Warning AddressConflict ferrolb-controller InUseByAnotherHost");
    let pool = ["ipaddresspool", "-n", "metallb-system", "lb-pool"];
    let accepted = cluster.wait_condition(&pool, "Accepted", "True PartlyWithheld");
    assert!(accepted.contains(&format!("{LB} is the address of host {mac}")), "{accepted}");

    cluster.apply(&service_yaml("second", "node-web-v1", &[]));
    cluster.wait_addresses("second", &[NEXT]);
    cluster.curl(&format!("http://{NEXT}"));
    assert!(!capture.of(Kind::Probe, LB).is_empty(), "it was probed for");
    assert_eq!(conflict_events(&cluster, "svc-lb"), 1, "{:?}", cluster.events("svc-lb"));
    // A successor takes over what is owned, and knows that this was never announced.
    let speakers = ["-n", "ferrolb-system", "daemonset/speaker"];
    cluster.kubectl(&[&["rollout", "restart"], &speakers[..]].concat());
    cluster.kubectl(&[&["rollout", "status", "--timeout=60s"], &speakers[..]].concat());
    stays("the address is not announced", Duration::from_secs(3), || {
        match &capture.of(Kind::Announcement, LB)[..] {
            [] => Ok(()),
            seen => Err(format!("{seen:?}")),
        }
    });
    cluster.wait_condition(&["service", "svc-lb"], CONFLICT, "True InUseByAnotherHost");
    assert_eq!(cluster.addresses("svc-lb"), [LB], "who has it keeps it");
    let events = cluster.events("svc-lb").join("\n");
    assert!(!events.contains("nodeAssigned") && cluster.announcer_now("svc-lb").is_err(), "{events}");

    // So it is for the same Service when it comes back, although its address has had an owner.
    cluster.kubectl(&["delete", "replicaset", "rs-web-v1"]);
    let conflicts = ["nodestates", "-o", "jsonpath={.items[*].status.links[*].conflicts[*].state}"];
    eventually("no node has the address", || {
        let states = cluster.kubectl(&[&["get"], &conflicts[..]].concat());
        if states.contains("Avoided") && !states.contains("Occupied") { Ok(()) } else { Err(states) }
    });
    wait_no_conflict(&cluster, "svc-lb");
    cluster.create_example("rs-web-v1.yaml");
    cluster.wait_condition(&["service", "svc-lb"], CONFLICT, "True InUseByAnotherHost");
    assert!(capture.of(Kind::Announcement, LB).is_empty(), "{:?}", capture.of(Kind::Announcement, LB));

    client_address(&cluster, "del");
    let freed = Instant::now();
    cluster.curl(LB_URL);
    say(&format!("answered {:.1} s after the host gave it up", freed.elapsed().as_secs_f64()));
    wait_no_conflict(&cluster, "svc-lb");
    cluster.wait_event("svc-lb", "announcing from node");
    cluster.wait_condition(&pool, "Accepted", "True Valid");
}

#[test]
fn a_host_that_claims_an_announced_address_is_told_and_the_address_goes_on_answering() {
    let cluster = Cluster::fresh();
    let _forget = Forget(&cluster);
    cluster.create_pool();
    cluster.create_web();
    let mac = cluster.mac("client", "eth0");

    client_address(&cluster, "add");
    client_claims(&cluster);
    let text = cluster.wait_condition(&["service", "svc-lb"], CONFLICT, "True InUseByAnotherHost");
    assert!(text.contains(&mac) && text.contains("claims the address too"), "{text}");
    cluster.wait_event("svc-lb", "AddressConflict");
    client_address(&cluster, "del");
    cluster.curl(LB_URL);
    assert_eq!(cluster.addresses("svc-lb"), [LB]);

    cluster.kubectl(&["delete", "service", "svc-lb"]);
    cluster.apply(&service_yaml("next", "node-web-v1", &[]));
    cluster.wait_addresses("next", &[NEXT]);
}
