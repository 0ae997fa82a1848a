//! What the tests of attributes and selectors add to [`crate::bgp`]: routers that every node connects to,
//! Services at addresses that a test knows beforehand, and what a router knows of their prefixes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::bgp::{NODES_ASN, ROUTER_ASN, frr_config, host_route, peer_yaml};
use crate::{Cluster, Router, eventually, service_yaml};

/// The lab's nodes.
pub const NODES: [&str; 3] = ["master", "worker1", "worker2"];
/// Both families on a session, whatever it runs over. FRR takes none for a second or so after it lost one.
pub const DUAL_STACK: &str = "dualStackAddressFamily: true, connectTime: 1s";
/// The LOCAL_PREF of a path to an internal peer whose advertisement sets none.
pub const LOCAL_PREF_DEFAULT: u64 = 100;

/// What a path is told with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Communities as objects have them, `1:2` or `large:1:2:3`.
    pub communities: BTreeSet<String>,
    /// LOCAL_PREF, where it was told.
    pub local_pref: Option<u64>,
}

impl Attributes {
    /// The attributes with these communities.
    #[must_use]
    pub fn new(communities: &[&str], local_pref: Option<u64>) -> Self {
        Self { communities: communities.iter().map(|&tag| tag.to_owned()).collect(), local_pref }
    }

    fn of(path: &Value) -> Self {
        let tags = |field: &str| path[field]["string"].as_str().unwrap_or_default().split_whitespace();
        let large = tags("largeCommunity").map(|tag| format!("large:{tag}"));
        Self {
            communities: tags("community").map(str::to_owned).chain(large).collect(),
            local_pref: path["locPrf"].as_u64(),
        }
    }
}

/// A BGPPeer like [`peer_yaml`]'s for a router in the nodes' own AS.
#[must_use]
pub fn internal_peer_yaml(name: &str, address: &str, more: &str) -> String {
    let yaml = peer_yaml(name, address, more);
    yaml.replace(&format!("peerASN: {ROUTER_ASN}"), &format!("peerASN: {NODES_ASN}"))
}

/// A Community with one alias.
#[must_use]
pub fn community_yaml(name: &str, alias: &str, value: &str) -> String {
    format!(
        "apiVersion: metallb.io/v1beta1\nkind: Community\n\
         metadata: {{name: {name}, namespace: metallb-system}}\n\
         spec: {{communities: [{{name: {alias}, value: '{value}'}}]}}\n"
    )
}

/// `serviceSelectors` for Services with any of these labels, each as `a: b`.
#[must_use]
pub fn of_services(labels: &[&str]) -> String {
    let selectors: Vec<String> = labels.iter().map(|label| format!("{{matchLabels: {{{label}}}}}")).collect();
    format!("serviceSelectors: [{}]", selectors.join(", "))
}

/// The addresses of a numbered Service, IPv4 and IPv6: 172.30.0.`number` and fd00:200::`number`.
#[must_use]
pub fn addresses(number: u8) -> [String; 2] {
    [format!("172.30.0.{number}"), format!("fd00:200::{number}")]
}

/// The prefixes that are these addresses.
#[must_use]
pub fn prefixes(number: u8) -> [String; 2] {
    addresses(number).map(|address| host_route(&address))
}

/// A Service of both families for the Pods app=node-web-v1, at [`addresses`], with `labels` as in `a: b`.
#[must_use]
pub fn numbered_service(number: u8, name: &str, labels: &str) -> String {
    at(&addresses(number).join(","), name, labels, "ipFamilyPolicy: RequireDualStack")
}

/// The same with its IPv4 address alone.
#[must_use]
pub fn numbered_service_v4(number: u8, name: &str) -> String {
    let [v4, _] = addresses(number);
    at(&v4, name, "", "ipFamilies: [IPv4]")
}

/// The same with its IPv6 address alone.
#[must_use]
pub fn numbered_service_v6(number: u8, name: &str) -> String {
    let [_, v6] = addresses(number);
    at(&v6, name, "", "ipFamilies: [IPv6]")
}

fn at(addresses: &str, name: &str, labels: &str, families: &str) -> String {
    let annotations = format!("{{metallb.io/loadBalancerIPs: \"{addresses}\"}}");
    let metadata = format!("{{name: {name}, labels: {{{labels}}}, annotations: {annotations}}}");
    service_yaml(name, "node-web-v1", &[families]).replace(&format!("{{name: {name}}}"), &metadata)
}

impl Router {
    /// The attributes of each path to a prefix.
    #[must_use]
    pub fn attributes(&self, prefix: &str) -> Vec<Attributes> {
        self.route(prefix)["paths"].as_array().into_iter().flatten().map(Attributes::of).collect()
    }

    /// Waits until there is a path to each of these prefixes, and every one has these attributes.
    pub fn wait_attributes(&self, prefixes: &[String], expected: &Attributes) {
        for prefix in prefixes {
            eventually(&format!("{prefix} has {expected:?}"), || {
                let found = self.attributes(prefix);
                let is_told = !found.is_empty() && found.iter().all(|one| one == expected);
                if is_told { Ok(()) } else { Err(format!("{found:?}")) }
            });
        }
    }

    /// Waits until these are all prefixes that the router has been told.
    pub fn wait_prefixes(&self, expected: &[String]) {
        let expected: BTreeSet<String> = expected.iter().cloned().collect();
        eventually(&format!("a router knows {expected:?}"), || {
            let found = self.prefixes();
            if found == expected { Ok(()) } else { Err(format!("{found:?}")) }
        });
    }
}

impl Cluster {
    /// FRR's configuration of a router in [`ROUTER_ASN`] that every node may connect to from both of its
    /// addresses; `each` as for [`frr_config`].
    #[must_use]
    pub fn frr_config_of_all(&self, each: &[&str]) -> String {
        frr_config(&self.all_node_addresses(), each)
    }

    /// The same of a router in the nodes' own AS.
    #[must_use]
    pub fn internal_frr_config(&self) -> String {
        let external = self.frr_config_of_all(&[]);
        external.replace(&format!("router bgp {ROUTER_ASN}"), &format!("router bgp {NODES_ASN}"))
    }

    /// Waits until `router` forwards each of the prefixes to these nodes and no others; to none: until it has
    /// forgotten them.
    pub fn wait_via(&self, router: &Router, prefixes: &[String], nodes: &[&str]) {
        for prefix in prefixes {
            let hops: Vec<String> = nodes.iter().map(|node| self.node_address(node, prefix)).collect();
            router.wait_next_hops(prefix, &hops);
        }
    }

    /// Waits until `router` has a session with exactly these nodes, over the family of `like`.
    pub fn wait_peering(&self, router: &Router, like: &str, nodes: &[&str]) {
        eventually(&format!("sessions with {nodes:?}"), || {
            let neighbors = router.json("show bgp neighbors json");
            let state = |node: &str| {
                let address = self.node_address(node, like);
                let state = neighbors[address.as_str()]["bgpState"].as_str().unwrap_or_default();
                (node.to_owned(), state.to_owned())
            };
            let states: BTreeMap<String, String> = NODES.into_iter().map(state).collect();
            let is_so = |(node, state): (&String, &String)| {
                nodes.contains(&node.as_str()) == (state == "Established")
            };
            if states.iter().all(is_so) { Ok(()) } else { Err(format!("{states:?}")) }
        });
    }
}
