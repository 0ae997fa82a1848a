//! MetalLB's acceptance list: the speakers' `ConfigurationState`, numbers 105 to 114, and 104, 117 and 118.
//! What the controller judges is in `configuration_state`.

use std::collections::BTreeMap;

use ferrolb_e2e::bgp::{bfd_profile_yaml, bgp_advertisement_yaml, peer_yaml};
use ferrolb_e2e::bgp_more::{NODES, community_yaml, of_services};
use ferrolb_e2e::{Cluster, counted, eventually, on_nodes};
use serde_json::Value;

/// Where no router is: nothing here needs a session.
const NOWHERE: &str = "10.200.200.2";
const IN_FERROLB: [&str; 2] = ["-n", "ferrolb-system"];
const OF_SPEAKERS: [&str; 2] = ["-l", "metallb.io/component-type=speaker"];
const SECRET: &str = "bgp-password";

/// The `ConfigurationState` of each speaker, by node.
fn states(cluster: &Cluster) -> BTreeMap<String, Value> {
    let list = cluster.get(&[&["configurationstates"], &IN_FERROLB[..], &OF_SPEAKERS].concat());
    let items = list["items"].as_array().cloned().unwrap_or_default();
    let node =
        |state: &Value| state["metadata"]["labels"]["metallb.io/node-name"].as_str().map(str::to_owned);
    items.into_iter().filter_map(|state| Some((node(&state)?, state))).collect()
}

/// Waits until the speakers of exactly these nodes say that the configuration is invalid, for all these
/// reasons, and the others that it is valid; returns what they say.
fn wait_invalid(cluster: &Cluster, nodes: &[&str], reasons: &[&str]) -> BTreeMap<String, Value> {
    eventually(&format!("invalid on {nodes:?} for {reasons:?}"), || {
        let states = states(cluster);
        let is_told = |summary: &str| {
            summary.starts_with("configuration error: ") && reasons.iter().all(|why| summary.contains(why))
        };
        let is_so = |node: &&str| {
            let status = states.get(*node).map_or(&Value::Null, |state| &state["status"]);
            let summary = status["errorSummary"].as_str();
            match nodes.contains(node) {
                true => status["result"] == "Invalid" && summary.is_some_and(is_told),
                false => status["result"] == "Valid" && summary.is_none(),
            }
        };
        if states.len() == NODES.len() && NODES.iter().all(is_so) {
            return Ok(states);
        }
        Err(format!("{:?}", states.values().map(|state| &state["status"]).collect::<Vec<_>>()))
    })
}

fn wait_valid(cluster: &Cluster) {
    wait_invalid(cluster, &[], &[]);
}

/// Waits until these nodes have taken up the peer `tor`, with or without a session.
fn wait_taken_up(cluster: &Cluster, nodes: &[&str]) {
    eventually(&format!("{nodes:?} have the peer tor"), || {
        let sessions = cluster.sessions("tor");
        if sessions.keys().eq(nodes) { Ok(()) } else { Err(format!("{sessions:?}")) }
    });
}

/// A Secret with a password, in place of one that an earlier test may have left.
fn create_secret(cluster: &Cluster, kind: &str) {
    delete_secret(cluster);
    cluster.apply(&format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: {SECRET}, namespace: metallb-system}}\n\
         type: {kind}\nstringData: {{password: secret}}\n"
    ));
}

fn delete_secret(cluster: &Cluster) {
    cluster.kubectl(&["delete", "secret", SECRET, "-n", "metallb-system", "--ignore-not-found"]);
}

/// How many objects are not accepted, as the leading controller counts.
fn wait_config_errors(cluster: &Cluster, expected: u64) {
    eventually(&format!("{expected} objects are not accepted"), || {
        let lease = cluster.get(&["lease", "ferrolb-controller", IN_FERROLB[0], IN_FERROLB[1]]);
        let leader = lease["spec"]["holderIdentity"].as_str().ok_or("nobody leads")?.to_owned();
        let pod = cluster.get(&["pod", &leader, IN_FERROLB[0], IN_FERROLB[1]]);
        let admin = format!("{}:9480", pod["status"]["podIP"].as_str().ok_or("it has no address")?);
        let found = counted(&cluster.metrics("master", &admin)?, "ferrolb_kube_config_errors ");
        if found == expected { Ok(()) } else { Err(format!("{found}")) }
    });
}

/// Numbers 105, 110 and 113.
#[test]
fn a_secret_without_a_password_is_told_by_the_speakers_that_need_it() {
    let cluster = Cluster::fresh();
    wait_valid(&cluster);
    create_secret(&cluster, "Opaque");
    let peer = |more: &str| peer_yaml("tor", NOWHERE, &format!("passwordSecret: {{name: {SECRET}}}{more}"));
    cluster.apply(&peer(&format!(", {}", on_nodes(&["worker1"]))));
    let failed = "\nfailed to parse peer tor password secret";
    let mismatch = format!(
        "parsing peer tor secret type mismatch on \"metallb-system\"/\"{SECRET}\", type \
         \"kubernetes.io/basic-auth\" is expected {failed}"
    );
    wait_invalid(&cluster, &["worker1"], &[&mismatch]);
    create_secret(&cluster, "kubernetes.io/basic-auth");
    wait_valid(&cluster);
    wait_taken_up(&cluster, &["worker1"]);
    cluster.apply(&peer(""));
    wait_taken_up(&cluster, &NODES);
    wait_valid(&cluster);
    delete_secret(&cluster);
    let missing = "parsing peer tor secret ref not found for peer config \"metallb-system\"/\"tor\"";
    wait_invalid(&cluster, &NODES, &[&format!("{missing}{failed}")]);
}

/// Numbers 104, 106, 107 and 109.
#[test]
fn each_error_of_a_peer_is_told_until_it_is_mended() {
    let cluster = Cluster::fresh();
    wait_valid(&cluster);
    wait_config_errors(&cluster, 0);
    cluster.apply(&peer_yaml("tor", NOWHERE, "bfdProfile: absent"));
    let absent = "peer tor referencing non existing bfd profile absent";
    wait_invalid(&cluster, &NODES, &[absent]);
    wait_config_errors(&cluster, 1);

    delete_secret(&cluster);
    cluster.apply(&peer_yaml("second", "10.200.200.3", &format!("passwordSecret: {{name: {SECRET}}}")));
    let missing = "parsing peer second secret ref not found for peer config \"metallb-system\"/\"second\"";
    wait_invalid(&cluster, &NODES, &[absent, missing]);
    cluster.apply(&bfd_profile_yaml("absent", ""));
    eventually("the other error alone", || {
        let states = wait_invalid(&cluster, &NODES, &[missing]);
        let summaries: Vec<&Value> = states.values().map(|state| &state["status"]["errorSummary"]).collect();
        let told = format!("{summaries:?}");
        if told.contains(absent) { Err(told) } else { Ok(()) }
    });
    create_secret(&cluster, "kubernetes.io/basic-auth");
    wait_valid(&cluster);
    wait_config_errors(&cluster, 0);

    cluster.apply(&peer_yaml("tor", NOWHERE, "bfdProfile: other"));
    wait_invalid(&cluster, &NODES, &["peer tor referencing non existing bfd profile other"]);
    let controller = cluster.get(&["configurationstate", "controller", IN_FERROLB[0], IN_FERROLB[1]]);
    assert_eq!(controller["status"]["result"], "Valid", "peers are the speakers' to judge: {controller}");
    delete_secret(&cluster);
}

/// Numbers 108, 117 and 118.
#[test]
fn an_alias_is_told_until_it_is_defined_and_what_one_object_shows_is_refused() {
    let cluster = Cluster::fresh();
    wait_valid(&cluster);
    let both = format!("aggregationLength: 24, {}", of_services(&["tier: front"]));
    let said = cluster.apply_refused(&bgp_advertisement_yaml("both", &both));
    assert!(said.contains("serviceSelectors and aggregationLength are mutually exclusive"), "{said}");
    let said = cluster.apply_refused(&peer_yaml("nowhere", "nowhere", ""));
    assert!(said.contains("invalid BGPPeer address"), "{said}");

    cluster.apply(&bgp_advertisement_yaml("tagged", "communities: [A]"));
    let unknown = "invalid community format: A\ninvalid community \"A\" in BGP advertisement";
    wait_invalid(&cluster, &NODES, &[unknown]);
    cluster.apply(&community_yaml("letters", "A", "64512:1"));
    wait_valid(&cluster);
}

/// Deletes the `ConfigurationState` of every speaker, and waits until there are others that say the same,
/// since the same time.
fn replace_states(cluster: &Cluster) {
    let before = states(cluster);
    cluster.kubectl(&[&["delete", "configurationstates"], &IN_FERROLB[..], &OF_SPEAKERS].concat());
    eventually("each state is back as it was", || {
        let after = states(cluster);
        let is_back = |(node, old): (&String, &Value)| {
            let new = after.get(node).unwrap_or(&Value::Null);
            old["status"] == new["status"] && old["metadata"]["uid"] != new["metadata"]["uid"]
        };
        if before.iter().all(is_back) { Ok(()) } else { Err(format!("{after:?}")) }
    });
}

/// Numbers 111 to 114.
#[test]
fn a_node_that_two_peers_of_one_address_select_says_so_and_a_deleted_state_comes_back() {
    let cluster = Cluster::fresh();
    let selected = |label: &str| format!("nodeSelectors: [{{matchLabels: {{{label}}}}}]");
    let peers = [
        peer_yaml("other", NOWHERE, &selected("edge: 'yes'")),
        peer_yaml("tor", NOWHERE, &selected("rack: one")),
    ];
    cluster.apply(&peers.join("---\n"));
    cluster.kubectl(&["label", "node", "worker1", "rack=one"]);
    wait_taken_up(&cluster, &["worker1"]);
    wait_valid(&cluster);
    cluster.kubectl(&["label", "node", "worker1", "edge=yes"]);
    let duplicate = format!(
        "peer {NOWHERE} already exists, FRR mode doesn't support duplicate BGPPeers selecting the same node"
    );
    wait_invalid(&cluster, &["worker1"], &[&duplicate]);
    replace_states(&cluster);
    wait_invalid(&cluster, &["worker1"], &[&duplicate]);

    cluster.kubectl(&["label", "node", "worker1", "edge-"]);
    wait_valid(&cluster);
    replace_states(&cluster);
    wait_valid(&cluster);
}
