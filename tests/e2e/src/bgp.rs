//! What the tests of BGP start from: the nodes are one AS, the routers another, and what is advertised is
//! not of the LAN. Who asks for it goes through the lab's router.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{Cluster, Router, eventually, pool_yaml};

/// The AS number of the nodes.
pub const NODES_ASN: u32 = 64_512;
/// The AS number of the routers.
pub const ROUTER_ASN: u32 = 64_513;
/// The lab's router.
pub const ROUTER_V4: &str = "192.168.100.1";
/// The same over IPv6.
pub const ROUTER_V6: &str = "fd00:100::1";
/// The first IPv4 address of [`Cluster::create_pods_and_outside_pool`].
pub const OUTSIDE_V4: &str = "172.30.0.1";
/// The first IPv6 address of the same pool.
pub const OUTSIDE_V6: &str = "fd00:200::1";

/// An object of MetalLB's namespace; `spec` in one line, as `a: 1, b: 2`.
fn object_yaml(version: &str, kind: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: metallb.io/{version}\nkind: {kind}\n\
         metadata: {{name: {name}, namespace: metallb-system}}\nspec: {{{spec}}}\n"
    )
}

/// A BGPPeer for a router in [`ROUTER_ASN`]; `more` is further fields of its spec, as `bfdProfile: fast`.
#[must_use]
pub fn peer_yaml(name: &str, address: &str, more: &str) -> String {
    let separator = if more.is_empty() { "" } else { ", " };
    let spec =
        format!("myASN: {NODES_ASN}, peerASN: {ROUTER_ASN}, peerAddress: \"{address}\"{separator}{more}");
    object_yaml("v1beta2", "BGPPeer", name, &spec)
}

/// A BGPAdvertisement; `spec` in one line, as `ipAddressPools: [a]`.
#[must_use]
pub fn bgp_advertisement_yaml(name: &str, spec: &str) -> String {
    object_yaml("v1beta1", "BGPAdvertisement", name, spec)
}

/// A BFDProfile; `spec` in one line, as `transmitInterval: 100`.
#[must_use]
pub fn bfd_profile_yaml(name: &str, spec: &str) -> String {
    object_yaml("v1beta1", "BFDProfile", name, spec)
}

/// FRR's configuration of a router in [`ROUTER_ASN`] that `neighbors`, in [`NODES_ASN`], connect to, for
/// both families; `each` is more about every one of them, as in `password x`.
#[must_use]
pub fn frr_config<S: AsRef<str>>(neighbors: &[S], each: &[&str]) -> String {
    let mut lines = vec![
        format!("router bgp {ROUTER_ASN}"),
        "no bgp ebgp-requires-policy".to_owned(),
        "no bgp network import-check".to_owned(),
        "no bgp default ipv4-unicast".to_owned(),
    ];
    for neighbor in neighbors {
        let neighbor: &str = neighbor.as_ref();
        lines.push(format!("neighbor {neighbor} remote-as {NODES_ASN}"));
        lines.push(format!("neighbor {neighbor} passive"));
        lines.extend(each.iter().map(|words| format!("neighbor {neighbor} {words}")));
    }
    for family in ["ipv4", "ipv6"] {
        lines.push(format!("address-family {family} unicast"));
        let activate = |neighbor: &S| format!("neighbor {} activate", neighbor.as_ref());
        lines.extend(neighbors.iter().map(activate));
        lines.push("exit-address-family".to_owned());
    }
    lines.push("exit\n".to_owned());
    lines.join("\n")
}

/// The prefix that is one address.
#[must_use]
pub fn host_route(address: &str) -> String {
    let length = if address.contains(':') { 128 } else { 32 };
    format!("{address}/{length}")
}

/// Where a Service's address is requested.
#[must_use]
pub fn url(address: &str) -> String {
    if address.contains(':') { format!("http://[{address}]") } else { format!("http://{address}") }
}

impl Cluster {
    /// Three Pods, app=node-web-v1, and a pool `bgp` of both families outside the LAN, which nothing
    /// advertises yet.
    pub fn create_pods_and_outside_pool(&self) {
        self.create_example("rs-web-v1.yaml");
        self.apply(&pool_yaml("bgp", &["172.30.0.1-172.30.0.254", "fd00:200::1-fd00:200::ff"]));
    }

    /// FRR on the lab's router with all nodes as neighbours over both families, `each` as [`frr_config`]
    /// takes it, and the BGPPeers `v4` and `v6` for it, with `more` in their spec; waits for their sessions.
    #[must_use]
    pub fn peer_with_router(&self, each: &[&str], more: &str) -> Router {
        let router = self.router(&frr_config(&self.all_node_addresses(), each));
        let [v4, v6] = [("v4", ROUTER_V4), ("v6", ROUTER_V6)].map(|(name, to)| peer_yaml(name, to, more));
        self.apply(&format!("{v4}---\n{v6}"));
        self.wait_all_sessions(&["v4", "v6"]);
        router
    }

    /// The address of a node that is of the same family as `like`.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn node_address(&self, node: &str, like: &str) -> String {
        let host = self.lab.host(node).expect("the node exists");
        let is_like = |address: &String| address.contains(':') == like.contains(':');
        let mut addresses = host.ips().into_iter().map(|address| address.to_string());
        addresses.find(is_like).expect("the lab has both families")
    }

    /// The addresses of all nodes that are of the same family as `like`.
    #[must_use]
    pub fn node_addresses(&self, like: &str) -> Vec<String> {
        self.lab.node_names().iter().map(|node| self.node_address(node, like)).collect()
    }

    /// All addresses of all nodes.
    #[must_use]
    pub fn all_node_addresses(&self) -> Vec<String> {
        [ROUTER_V4, ROUTER_V6].map(|like| self.node_addresses(like)).concat()
    }

    /// The status of each `BGPSession` with this BGPPeer, by node.
    #[must_use]
    pub fn sessions(&self, peer: &str) -> BTreeMap<String, Value> {
        let list = self.get(&["bgpsessions.ferrolb.io", "-n", "ferrolb-system"]);
        let statuses = list["items"].as_array().into_iter().flatten().map(|item| &item["status"]);
        let of_peer = statuses.filter(|status| status["peer"] == peer);
        of_peer.filter_map(|status| Some((status["node"].as_str()?.to_owned(), status.clone()))).collect()
    }

    /// Waits until exactly these nodes peer with this BGPPeer, and each has a session.
    pub fn wait_sessions<S: AsRef<str>>(&self, peer: &str, nodes: &[S]) {
        eventually(&format!("sessions with {peer}"), || {
            let sessions = self.sessions(peer);
            let is_up = sessions.values().all(|session| session["state"] == "Established");
            let mut expected: Vec<&str> = nodes.iter().map(AsRef::as_ref).collect();
            expected.sort_unstable();
            if is_up && sessions.keys().eq(&expected) { Ok(()) } else { Err(format!("{sessions:?}")) }
        });
    }

    /// Waits until every node has a session with each of these BGPPeers.
    pub fn wait_all_sessions(&self, peers: &[&str]) {
        for peer in peers {
            self.wait_sessions(peer, &self.lab.node_names());
        }
    }

    /// The peers that each node says it advertises a Service to: its `ServiceBGPStatus` objects, by node.
    #[must_use]
    pub fn bgp_statuses(&self, service: &str) -> BTreeMap<String, Vec<String>> {
        let selector = format!("metallb.io/service-name={service}");
        let list = self.get(&["servicebgpstatuses.metallb.io", "-n", "ferrolb-system", "-l", &selector]);
        let statuses = list["items"].as_array().into_iter().flatten().map(|item| &item["status"]);
        let peers = |status: &Value| {
            let names = status["peers"].as_array().into_iter().flatten();
            names.filter_map(|name| Some(name.as_str()?.to_owned())).collect()
        };
        statuses.filter_map(|status| Some((status["node"].as_str()?.to_owned(), peers(status)))).collect()
    }
}
