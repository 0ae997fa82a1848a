//! MetalLB's acceptance list, BGP, number 100: a peer behind an interface, whatever its address. And what
//! else there is to a cable between a node and its router: that it loses its carrier, and that the router
//! is the one to connect.

use std::time::{Duration, Instant};

use ferrolb_e2e::bgp::{
    NODES_ASN, OUTSIDE_V4, OUTSIDE_V6, ROUTER_ASN, bfd_profile_yaml, bgp_advertisement_yaml, host_route,
    peer_yaml, url,
};
use ferrolb_e2e::{Cluster, Router, eventually, say};
use serde_json::Value;

use crate::bgp_restart::roll;

/// The node with the cable.
const NODE: &str = "worker1";
/// The cable's end there.
const UPLINK: &str = "uplink0";
/// Its other end, on the router.
const LEAF: &str = "leaf0";

/// The ends of the cable where they have addresses.
const UPLINK_V4: &str = "10.99.0.1";
const LEAF_V4: &str = "10.99.0.2";
/// Where nodes listen without a further capability.
const PORT: u16 = 1_790;

/// Beyond it a session was not ended by its link, but by a timer: the shortest there could be is the hold
/// time.
const AT_ONCE: Duration = Duration::from_secs(10);

/// A cable from a node to the router. It is gone with this value.
struct Cable<'a>(&'a Cluster);

impl<'a> Cable<'a> {
    fn plug(cluster: &'a Cluster) -> Self {
        let cable = Self(cluster);
        // Of a run that was killed.
        cable.pull();
        let netns = cluster.lab.host("router").expect("every lab has a router").netns.as_str();
        let far_end = ["type", "veth", "peer", "name", LEAF, "netns", netns];
        cable.on(NODE, &[&["ip", "link", "add", UPLINK][..], &far_end].concat());
        cable.on("router", &["ip", "link", "set", LEAF, "up"]);
        cable.on(NODE, &["ip", "link", "set", UPLINK, "up"]);
        cable
    }

    /// Gives both ends an address.
    fn number(&self) {
        self.on(NODE, &["ip", "address", "add", &format!("{UPLINK_V4}/30"), "dev", UPLINK]);
        self.on("router", &["ip", "address", "add", &format!("{LEAF_V4}/30"), "dev", LEAF]);
    }

    /// Takes the carrier away from the node's end, or gives it back.
    fn set_carrier(&self, has_carrier: bool) {
        self.on("router", &["ip", "link", "set", LEAF, if has_carrier { "up" } else { "down" }]);
    }

    /// The link-local address of the node's end.
    fn link_local(&self) -> String {
        let text = self.on(NODE, &["ip", "-6", "-o", "address", "show", "dev", UPLINK, "scope", "link"]);
        let address = text.split_whitespace().find_map(|word| word.split_once('/'));
        address.expect("the node's end has a link-local address").0.to_owned()
    }

    fn on(&self, host: &str, command: &[&str]) -> String {
        let output = self.0.lab.exec(host, command).expect("the host is there");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {complaint}", command.join(" "));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn pull(&self) {
        // What is not there needs no removing.
        drop(self.0.lab.exec(NODE, &["ip", "link", "del", UPLINK]));
    }
}

impl Drop for Cable<'_> {
    fn drop(&mut self) {
        self.pull();
    }
}

/// FRR's configuration with one neighbour; `how` is what follows its name, as in ` interface`, and `more`
/// one more line about it.
fn config(neighbor: &str, how: &str, more: &str) -> String {
    let family = |family: &str| {
        format!("address-family {family} unicast\nneighbor {neighbor} activate\nexit-address-family\n")
    };
    format!(
        "router bgp {ROUTER_ASN}\nno bgp ebgp-requires-policy\nno bgp default ipv4-unicast\n\
         neighbor {neighbor}{how} remote-as {NODES_ASN}\n{more}\n{}{}exit\n",
        family("ipv4"),
        family("ipv6")
    )
}

/// Waits until the session of the node with the cable is as `is_so` says, and returns it.
fn wait_session(cluster: &Cluster, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    eventually(what, || {
        let session = cluster.sessions("leaf").remove(NODE).unwrap_or_default();
        if is_so(&session) { Ok(session) } else { Err(format!("{session:#}")) }
    })
}

fn is_established(session: &Value) -> bool {
    session["state"] == "Established"
}

/// Waits until the router forwards both addresses over the cable, and they are reached.
fn wait_reached(cluster: &Cluster, router: &Router, next_hop: &str) {
    for address in [OUTSIDE_V4, OUTSIDE_V6] {
        eventually(&format!("{address} is forwarded over the cable"), || {
            let hops = router.installed(&host_route(address));
            let is_over = |hop: &Value| hop["ip"] == next_hop && hop["interfaceName"] == LEAF;
            if hops.len() == 1 && hops.iter().all(is_over) { Ok(()) } else { Err(format!("{hops:?}")) }
        });
        cluster.curl(&url(address));
    }
}

/// Number 100.
#[test]
fn a_router_behind_an_interface_is_found_and_routes_both_families_with_and_without_bfd() {
    let cluster = Cluster::fresh();
    cluster.create_pods_and_outside_pool();
    cluster.apply(&bgp_advertisement_yaml("bgp", ""));
    cluster.create_dual_service("web", "");
    let cable = Cable::plug(&cluster);
    let address = format!("peerAddress: \"{LEAF}\"");
    let peer = peer_yaml("leaf", LEAF, "").replace(&address, &format!("interface: {UPLINK}"));
    cluster.apply(&peer);
    wait_session(&cluster, "a router is missing", |session| session["reason"] == "NoRouterHeard");
    eventually("nodes without the interface say so", || {
        let sessions = cluster.sessions("leaf");
        let others = || sessions.iter().filter(|(node, _)| *node != NODE);
        let is_so = others().count() == 2 && others().all(|(_, one)| one["reason"] == "InterfaceMissing");
        if is_so { Ok(()) } else { Err(format!("{sessions:?}")) }
    });

    let router = cluster.router(&config(LEAF, " interface", ""));
    let session = wait_session(&cluster, "a session", is_established);
    let capabilities = session["negotiated"]["capabilities"].as_array().expect("it is a list");
    assert!(capabilities.contains(&"ExtendedNextHop".into()), "{session:#}");
    router.wait_established(&[LEAF]);
    let next_hop = cable.link_local();
    wait_reached(&cluster, &router, &next_hop);

    let watched = peer.replace("spec: {", "spec: {bfdProfile: fast, ");
    cluster.apply(&format!("{}---\n{watched}", bfd_profile_yaml("fast", "")));
    router.configure(&[&format!("router bgp {ROUTER_ASN}"), &format!("neighbor {LEAF} bfd")]);
    wait_session(&cluster, "BFD is up", |session| session["bfd"]["state"] == "Up");
    eventually("the router's BFD is up", || {
        let seen = router.bfd_peer(&next_hop);
        if seen["status"] == "up" { Ok(()) } else { Err(format!("{seen:#}")) }
    });
    wait_reached(&cluster, &router, &next_hop);

    let dropped = || router.neighbor(LEAF)["connectionsDropped"].clone();
    let before = dropped();
    roll(&cluster);
    wait_reached(&cluster, &router, &next_hop);
    assert_eq!(dropped(), before, "the next speaker goes on with the session");

    cable.set_carrier(false);
    wait_session(&cluster, "the link is down", |session| session["reason"] == "LinkDown");
    cable.set_carrier(true);
    wait_session(&cluster, "the session is back", is_established);
    wait_reached(&cluster, &router, &next_hop);
}

/// Not on the list: MetalLB leaves it to FRR's fast external fail-over.
#[test]
fn a_session_ends_with_its_link_and_begins_again_with_it() {
    let cluster = Cluster::fresh();
    let cable = Cable::plug(&cluster);
    cable.number();
    let _router = cluster.router(&config(UPLINK_V4, "", ""));
    cluster.apply(&peer_yaml("leaf", LEAF_V4, ""));
    wait_session(&cluster, "a session", is_established);

    cable.set_carrier(false);
    let cut = Instant::now();
    wait_session(&cluster, "the link is down", |session| session["reason"] == "LinkDown");
    say(&format!("the end of the session was told {:?} after its link was cut", cut.elapsed()));
    assert!(cut.elapsed() < AT_ONCE);
    cable.set_carrier(true);
    wait_session(&cluster, "the session is back", is_established);
}

/// Not on the list: MetalLB listens for nobody.
#[test]
fn a_passive_peer_connects_itself() {
    let cluster = Cluster::fresh();
    let cable = Cable::plug(&cluster);
    cable.number();
    let peer = peer_yaml("leaf", LEAF_V4, &format!("peerPort: {PORT}"));
    let passive = "metallb-system, annotations: {ferrolb.io/passive: \"true\"}}";
    cluster.apply(&peer.replace("metallb-system}", passive));
    let more = format!("neighbor {UPLINK_V4} port {PORT}");
    let _router = cluster.router(&config(UPLINK_V4, "", &more));
    let session = wait_session(&cluster, "a session", is_established);
    assert_eq!(session["localAddress"], format!("{UPLINK_V4}:{PORT}"), "{session:#}");
}
