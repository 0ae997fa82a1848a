//! MetalLB's acceptance list, BGP, numbers 101 to 103: what speakers count of their sessions, under MetalLB's
//! names and under FerroLB's. The gauges of pools are number 29 in `layer2_status`; 104 is in
//! `bgp_configuration`.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use ferrolb_e2e::bgp::{
    ROUTER_ASN, ROUTER_V4, ROUTER_V6, bfd_profile_yaml, bgp_advertisement_yaml, peer_yaml,
};
use ferrolb_e2e::bgp_more::{NODES, numbered_service_v4, numbered_service_v6};
use ferrolb_e2e::{Cluster, eventually, pool_yaml, say};

/// A series, as it is shown up to its value, and what that may be.
type Series = (String, RangeInclusive<u64>);

const SOME: RangeInclusive<u64> = 1..=u64::MAX;
const ANY: RangeInclusive<u64> = 0..=u64::MAX;
const NONE: RangeInclusive<u64> = 0..=0;
const ONE: RangeInclusive<u64> = 1..=1;

/// While this is there, speakers show MetalLB's names too.
struct MetalLbNames<'a>(&'a Cluster);

impl<'a> MetalLbNames<'a> {
    fn show(cluster: &'a Cluster) -> Self {
        let names = Self(cluster);
        names.set("FERROLB_METALLB_METRICS=true").expect("the speakers start anew");
        names
    }

    /// Sets a variable of the speakers' environment, or, with `NAME-`, removes it.
    fn set(&self, variable: &str) -> Result<(), String> {
        let daemonset = ["daemonset/speaker", "-n", "ferrolb-system"];
        let steps = [
            [&["set", "env"], &daemonset[..], &[variable]].concat(),
            [&["rollout", "status"], &daemonset[..], &["--timeout=120s"]].concat(),
        ];
        for step in steps {
            let output = self.0.lab.kubectl(&step).map_err(|error| format!("{error:#}"))?;
            if !output.status.success() {
                return Err(String::from_utf8_lossy(&output.stderr).into_owned());
            }
        }
        Ok(())
    }
}

impl Drop for MetalLbNames<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.set("FERROLB_METALLB_METRICS-") {
            say(&format!("the speakers go on showing MetalLB's names: {error}"));
        }
    }
}

/// Waits until the speaker of every node shows all of these.
fn wait_shown(cluster: &Cluster, expected: &[Series]) {
    for node in NODES {
        eventually(&format!("{node} counts what happened"), || {
            let metrics = cluster.speaker_metrics(node)?;
            let value = |series: &str| -> Option<u64> {
                metrics.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
            };
            let is_otherwise =
                |(series, values): &&Series| value(series).is_none_or(|value| !values.contains(&value));
            let otherwise = expected.iter().find(is_otherwise);
            otherwise.map_or(Ok(()), |(series, _)| Err(format!("{series}{:?}", value(series))))
        });
    }
}

/// Waits until on every node MetalLB's series of what is announced are of exactly these Services, each with
/// its address.
fn wait_announced(cluster: &Cluster, services: &[(&str, &str)]) {
    for node in NODES {
        let line = |(service, ip): &(&str, &str)| {
            format!("service=\"default/{service}\",protocol=\"bgp\",node=\"{node}\",ip=\"{ip}\"}} 1")
        };
        let expected: BTreeSet<String> = services.iter().map(line).collect();
        eventually(&format!("{node} shows {services:?}"), || {
            let metrics = cluster.speaker_metrics(node)?;
            let of_line = |line: &str| Some(line.strip_prefix("metallb_speaker_announced{")?.to_owned());
            let found: BTreeSet<String> = metrics.lines().filter_map(of_line).collect();
            if found == expected { Ok(()) } else { Err(format!("{found:?}")) }
        });
    }
}

/// MetalLB's series of the session with the router at `address`.
fn metallb_bgp(address: &str, values: &[(&str, RangeInclusive<u64>)]) -> Vec<Series> {
    let labels = format!("{{peer=\"{address}:179\",vrf=\"default\"}} ");
    values.iter().map(|(name, values)| (format!("metallb_bgp_{name}{labels}"), values.clone())).collect()
}

/// MetalLB's series of the path to the router at `address`.
fn metallb_bfd(address: &str, values: &[(&str, RangeInclusive<u64>)]) -> Vec<Series> {
    let labels = format!("{{peer=\"{address}\",vrf=\"default\"}} ");
    values.iter().map(|(name, values)| (format!("metallb_bfd_{name}{labels}"), values.clone())).collect()
}

/// What is counted of an established session over which nothing of the other family goes.
fn of_session(peer: &str, address: &str, family: &str, prefixes: RangeInclusive<u64>) -> Vec<Series> {
    let mut series = metallb_bgp(
        address,
        &[
            ("session_up", ONE),
            ("announced_prefixes_total", prefixes.clone()),
            ("pending_prefixes_total", NONE),
            ("updates_total", SOME),
            ("updates_total_received", SOME),
            ("opens_sent", SOME),
            ("opens_received", SOME),
            ("keepalives_sent", SOME),
            ("keepalives_received", SOME),
            ("notifications_sent", ANY),
            ("route_refresh_sent", NONE),
            ("total_sent", 3..=u64::MAX),
            ("total_received", 3..=u64::MAX),
        ],
    );
    let peer = format!("peer=\"metallb-system/{peer}\"");
    series.push((format!("ferrolb_bgp_session_up{{{peer}}} "), ONE));
    series.push((format!("ferrolb_bgp_sessions_total{{{peer}}} "), SOME));
    for direction in ["sent", "received"] {
        for kind in ["open", "update", "keepalive"] {
            let labels = format!("{peer},direction=\"{direction}\",kind=\"{kind}\"");
            series.push((format!("ferrolb_bgp_messages_total{{{labels}}} "), SOME));
        }
    }
    let labels = format!("{peer},family=\"{family}_unicast\",state=\"advertised\"");
    series.push((format!("ferrolb_bgp_prefixes{{{labels}}} "), prefixes));
    series
}

/// What is counted of a path: whether it is up, and how often it failed.
fn of_path(address: &str, is_up: RangeInclusive<u64>, downs: RangeInclusive<u64>) -> Vec<Series> {
    let mut series = metallb_bfd(
        address,
        &[
            ("session_up", is_up.clone()),
            ("control_packet_input", SOME),
            ("control_packet_output", SOME),
            ("session_up_events", SOME),
            ("session_down_events", downs),
        ],
    );
    let labels = format!("peer=\"{address}\",local=\"\",interface=\"\",hops=\"one\"");
    series.push((format!("ferrolb_bfd_session_up{{{labels}}} "), is_up));
    for direction in ["sent", "received"] {
        series.push((format!("ferrolb_bfd_packets_total{{{labels},direction=\"{direction}\"}} "), SOME));
    }
    series
}

/// Numbers 101 to 103.
#[test]
fn sessions_prefixes_and_paths_are_counted_under_both_names() {
    let cluster = Cluster::fresh();
    let _names = MetalLbNames::show(&cluster);
    cluster.create_example("rs-web-v1.yaml");
    let router = cluster.router(&cluster.frr_config_of_all(&["bfd"]));
    let in_router = format!("router bgp {ROUTER_ASN}");
    // So that it has something to tell too.
    router.configure(&[&in_router, "address-family ipv4 unicast", "network 10.99.0.0/24"]);
    router.configure(&[&in_router, "address-family ipv6 unicast", "network fd00:99::/64"]);
    let objects = [
        bfd_profile_yaml("plain", ""),
        bfd_profile_yaml("echo", "echoMode: true"),
        pool_yaml("four", &["172.30.0.0/24"]),
        pool_yaml("six", &["fd00:200::/112"]),
        // One that is watched with echo packets is told of no IPv6.
        bgp_advertisement_yaml("four", "ipAddressPools: [four], peers: [four]"),
        bgp_advertisement_yaml("six", "ipAddressPools: [six], peers: [six]"),
        peer_yaml("four", ROUTER_V4, "bfdProfile: echo"),
        peer_yaml("six", ROUTER_V6, "bfdProfile: plain"),
    ];
    cluster.apply(&objects.join("---\n"));
    let paths = |is_up: RangeInclusive<u64>, downs: RangeInclusive<u64>| {
        [ROUTER_V4, ROUTER_V6].map(|address| of_path(address, is_up.clone(), downs.clone())).concat()
    };
    wait_shown(&cluster, &paths(ONE, ANY));
    let path = format!("peer=\"{ROUTER_V4}\",local=\"\",interface=\"\",hops=\"one\"");
    let echo = |direction: &str| {
        (format!("ferrolb_bfd_echo_packets_total{{{path},direction=\"{direction}\"}} "), SOME)
    };
    wait_shown(&cluster, &["sent", "returned"].map(echo));
    let packets = [("echo_packet_output", SOME), ("echo_packet_input", SOME)];
    wait_shown(&cluster, &metallb_bfd(ROUTER_V4, &packets));

    let services = [numbered_service_v4(1, "web-v4"), numbered_service_v6(1, "web-v6")];
    cluster.apply(&services.join("---\n"));
    let counted = |prefixes: RangeInclusive<u64>, services: RangeInclusive<u64>| {
        let mut series = of_session("four", ROUTER_V4, "ipv4", prefixes.clone());
        series.extend(of_session("six", ROUTER_V6, "ipv6", prefixes));
        series.push(("ferrolb_plan_bgp_advertised ".to_owned(), services));
        series
    };
    wait_shown(&cluster, &counted(ONE, 2..=2));
    wait_announced(&cluster, &[("web-v4", "172.30.0.1"), ("web-v6", "fd00:200::1")]);
    cluster.kubectl(&["delete", "service", "web-v4", "web-v6"]);
    wait_shown(&cluster, &counted(NONE, NONE));
    wait_announced(&cluster, &[]);

    let neighbors = cluster.all_node_addresses();
    let mut lines = vec![in_router];
    lines.extend(neighbors.iter().map(|neighbor| format!("no neighbor {neighbor} bfd")));
    router.configure(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    wait_shown(&cluster, &paths(NONE, SOME));
}
