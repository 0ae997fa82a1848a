use super::combine::{Combined, Input};
use super::convert::convert;
use super::judge::Scope;
use super::report::Problems;
use super::source::{Manifest, Source};

mod objects;
mod steps;

const FULL: &str = include_str!("tests/full.yaml");
const FULL_OBJECTS: &str = include_str!("tests/full-objects.yaml");
const FULL_REPORT: &str = include_str!("tests/full-report.txt");
const EXAMPLE: &str = include_str!("../../../examples/legacy/metallb-l2config.yaml");

fn combined(input: &Input, namespace: Option<&str>) -> anyhow::Result<Combined> {
    let namespaces = ["ferrolb-system".into(), "metallb-system".into()];
    Combined::of(input, namespace, &Scope { namespaces: &namespaces, lb_class: None })
}

/// The objects and the report of an input.
fn printed(input: &Input, namespace: Option<&str>) -> (String, String) {
    let combined = combined(input, namespace).unwrap_or_else(|error| panic!("{error:#}"));
    (combined.resources.to_yaml(&combined.origin).unwrap(), combined.report.to_string())
}

fn manifest(text: &str) -> Input {
    Input { written: Manifest::read(text).unwrap(), cluster: None }
}

fn bare(data: &str) -> Input {
    let written = Manifest { legacy: Some(Source::bare(data.into())), ..Manifest::default() };
    Input { written, cluster: None }
}

/// The objects and the report of a bare configuration.
fn migrated(data: &str) -> (String, String) {
    printed(&bare(data), None)
}

/// What is wrong with a bare configuration.
fn problems(data: &str) -> String {
    let written = Source::bare(data.into()).parse().unwrap();
    let problems: Problems = convert(&written, "metallb-system").expect_err("must not be migrated");
    problems.to_string()
}

/// Why a bare configuration does not parse.
fn parse_error(data: &str) -> String {
    let error = Source::bare(data.into()).parse().err().expect("must not parse");
    format!("{error:#}")
}

fn full() -> (String, String) {
    printed(&manifest(FULL), None)
}

#[test]
fn every_key_becomes_a_field() {
    let (objects, _) = full();
    assert_eq!(objects, FULL_OBJECTS, "\n{objects}");
}

#[test]
fn what_changes_is_told_item_by_item() {
    let (_, report) = full();
    assert_eq!(report, FULL_REPORT, "\n{report}");
}

#[test]
fn the_order_is_that_of_metallbs_converter() {
    let (objects, _) = full();
    let kinds: Vec<&str> = objects.lines().filter_map(|line| line.strip_prefix("kind: ")).collect();
    let expected = "BGPPeer BGPPeer IPAddressPool IPAddressPool IPAddressPool BGPAdvertisement \
                    BGPAdvertisement BGPAdvertisement L2Advertisement BFDProfile BFDProfile Community";
    assert_eq!(kinds.join(" "), expected);
}

#[test]
fn the_example_becomes_a_pool_and_its_advertisement() {
    let (objects, report) = printed(&manifest(EXAMPLE), None);
    let expected = "# Made by `ferrolb migrate` from ConfigMap metallb-system/config.\n---\n\
                    apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata:\n  name: nginx-ip-range\n  \
                    namespace: metallb-system\nspec:\n  addresses:\n  - 192.168.100.240-192.168.100.250\n  \
                    autoAssign: true\n  avoidBuggyIPs: false\n---\n\
                    apiVersion: metallb.io/v1beta1\nkind: L2Advertisement\nmetadata:\n  \
                    name: l2advertisement1\n  namespace: metallb-system\nspec:\n  ipAddressPools:\n  \
                    - nginx-ip-range\n";
    assert_eq!(objects, expected);
    let expected = "address-pools[0] \"nginx-ip-range\": IPAddressPool nginx-ip-range, L2Advertisement \
                  l2advertisement1\n";
    assert_eq!(report, expected);
}

#[test]
fn a_key_without_value_is_an_empty_list() {
    let (objects, report) = migrated("peers:\nbfd-profiles: ~\nbgp-communities:\naddress-pools:\n");
    assert_eq!(objects, "# Made by `ferrolb migrate` from the input.\n");
    assert_eq!(report, "note: nothing is configured, so there are no objects\n");
}

#[test]
fn text_that_looks_like_something_else_stays_text() {
    for password in ["on", "1e3", "0x1F", "~", "1:30", "012", "2020-01-01", " x", "null", "1_000"] {
        let data =
            format!("peers: [{{peer-address: 10.0.0.1, peer-asn: 1, my-asn: 2, password: {password:?}}}]");
        let (objects, _) = migrated(&data);
        assert!(objects.contains(&format!("\n  password: {password:?}\n")), "{objects}");
    }
}

#[test]
fn communities_written_twice_are_sent_once() {
    let (objects, _) = migrated(
        "address-pools: [{name: a, protocol: bgp, addresses: [10.0.0.0/24], \
         bgp-advertisements: [{communities: ['1:2', '3:4', '1:2']}]}]",
    );
    assert!(objects.contains("communities:\n  - \"1:2\"\n  - \"3:4\"\n  ipAddressPools"), "{objects}");
}

#[test]
fn a_namespace_that_nobody_reads_is_told() {
    let data = "address-pools: [{name: a, protocol: layer2, addresses: [10.0.0.0/24]}]";
    let (objects, report) = printed(&bare(data), Some("network"));
    assert!(objects.contains("namespace: network\n"));
    let expected = "note: FerroLB reads ferrolb-system and metallb-system; migrate with --namespace=metallb-system, or \
                    give its processes --config-namespaces=network and the right to read there\n";
    assert!(report.ends_with(expected), "{report}");
}

#[test]
fn the_configmap_is_found_among_others() {
    let map = |namespace: &str, name: &str, pool: &str| {
        format!(
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{namespace: {namespace}, name: {name}}}\n\
             data: {{config: 'address-pools: [{{name: {pool}}}]', other: x}}\n"
        )
    };
    let found = |text: &str| {
        let source = Manifest::read(text).unwrap().legacy.unwrap();
        (
            source.place.clone(),
            source.namespace(None).to_owned(),
            source.parse().unwrap().address_pools[0].name.clone(),
        )
    };
    let other = map("lb", "settings", "one");
    assert_eq!(found(&other), ("ConfigMap lb/settings".into(), "lb".into(), "one".into()));
    let both = other.clone() + &map("metallb-system", "config", "two");
    let expected = ("ConfigMap metallb-system/config".into(), "metallb-system".into(), "two".into());
    assert_eq!(found(&both), expected, "MetalLB reads that one");
    let list = "kind: List\nitems:\n- kind: ConfigMap\n  metadata: {name: x}\n  data: {config: 'address-pools: [{name: three}]'}\n";
    assert_eq!(found(list), ("ConfigMap metallb-system/x".into(), "metallb-system".into(), "three".into()));

    let error = |text: &str| Manifest::read(text).unwrap_err().to_string();
    let two = other.clone() + &map("lb", "config", "two");
    assert_eq!(
        error(&two),
        "several have a key \"config\": ConfigMap lb/settings, ConfigMap lb/config; keep one of them"
    );
    assert!(error("kind: Pod").contains("give --only-data"));
    assert!(error("address-pools: []").contains("give --only-data"));
    assert_eq!(Manifest::read(&other).unwrap().legacy.unwrap().namespace(Some("mine")), "mine");
}

#[test]
fn what_does_not_parse_is_told_with_key_and_line() {
    let error = parse_error("address-pools:\n- name: a\n  protocol: layer2\n  auto-asign: false\n");
    assert!(error.contains("unknown field `auto-asign`, expected one of name, protocol, "), "{error}");
    assert!(error.ends_with("at line 4, column 3"), "{error}");
    for data in
        ["", "  \n", "address-pools: 7", "address-pools: [{name: a, name: b}]", "peers: [{my-asn: -1}]"]
    {
        parse_error(data);
    }
}

#[test]
fn every_problem_is_told_with_its_place() {
    let found = problems(
        "peers:
- {my-asn: 0, peer-asn: 1, peer-address: 10.0.0, source-address: x, router-id: 'fd00::1', peer-port: 20000}
- {my-asn: 1, peer-asn: 1, peer-address: 10.0.0.1, ebgp-multihop: true, hold-time: 2.9s, keepalive-time: 5s}
- {my-asn: 1, peer-asn: 2, peer-address: 10.0.0.1, hold-time: soon, bfd-profile: none}
- my-asn: 1
  peer-asn: 2
  peer-address: 10.0.0.1
  node-selectors: [{match-expressions: [{key: zone, operator: in, values: [a]}]}]
bgp-communities: {bad: 1:2:3}
address-pools:
- {name: one, protocol: layer2, addresses: [10.0.0.0/24, 10.0.1.9-10.0.1.1, 10.0.2.1], bgp-advertisements: [{}]}
- {name: two, protocol: l2, addresses: [10.0.0.128/25, 10.0.0.1-fd00::1]}
- {name: ONE, addresses: []}
- name: four
  protocol: bgp
  addresses: [10.1.0.0/24, 10.1.0.7-10.1.0.9, 10.1.0.255-10.1.1.1]
  bgp-advertisements: [{aggregation-length: 33, aggregation-length-v6: 129, communities: [unknown, bad]}]
bfd-profiles:
- {name: '!', receive-interval: 9, transmit-interval: 60001, detect-multiplier: 1, echo-interval: 1, minimum-ttl: 255}
",
    );
    for expected in [
        "peers[0].my-asn: missing; write an AS number above 0",
        "peers[0].peer-address: \"10.0.0\" is not an IP address",
        "peers[0].source-address: \"x\" is not an IP address",
        "peers[0].router-id: \"fd00::1\" is not written like an IPv4 address",
        "peers[0].peer-port: expected at most 16384, found 20000",
        "peers[1].ebgp-multihop: the peer has our AS number, so it is internal; remove it",
        "peers[1].hold-time: must be 0 or at least 3s (RFC 4271 §4.2)",
        "peers[1].keepalive-time: longer than hold-time; write a third of that, or remove it",
        "peers[2].hold-time: \"soon\" is not a duration; write 90s or 1m30s",
        "peers[2].bfd-profile: \"none\" is no name of bfd-profiles",
        "peers[3].node-selectors[0]: matchExpressions on label \"zone\": operator \"in\" does not exist; \
         use In, NotIn, Exists or DoesNotExist",
        "address-pools[0].addresses[1]: 10.0.1.9-10.0.1.1: start is above end; swap them",
        "address-pools[0].bgp-advertisements: a layer2 pool has none; remove them, or write protocol: bgp",
        "address-pools[1].addresses[0]: 10.0.0.128-10.0.0.255 overlaps 10.0.0.0-10.0.0.255 \
         (address-pools[0].addresses[0]); shrink one of them",
        "address-pools[1].addresses[1]: 10.0.0.1-fd00::1 mixes IPv4 and IPv6; write one entry for each family",
        "address-pools[1].protocol: \"l2\" does not exist; write layer2 or bgp",
        "address-pools[2].name: \"ONE\" is \"one\" as an object, as is address-pools[0]; rename one of them",
        "address-pools[2].addresses: the pool has none; list CIDRs or ranges",
        "address-pools[2].protocol: missing; write layer2 or bgp",
        "address-pools[3].addresses[1]: 10.1.0.7-10.1.0.9 overlaps 10.1.0.0-10.1.0.255 \
         (address-pools[3].addresses[0]); shrink one of them",
        "address-pools[3].addresses[2]: 10.1.0.255-10.1.1.1 overlaps 10.1.0.0-10.1.0.255 \
         (address-pools[3].addresses[0]); shrink one of them",
        "address-pools[3].bgp-advertisements[0].aggregation-length: expected 1 to 32, found 33",
        "address-pools[3].bgp-advertisements[0].aggregation-length-v6: expected 0 to 128, found 129",
        "bfd-profiles[0].receive-interval: expected 10 to 60000, found 9",
        "bfd-profiles[0].transmit-interval: expected 10 to 60000, found 60001",
        "bfd-profiles[0].detect-multiplier: expected 2 to 255, found 1",
        "bfd-profiles[0].echo-interval: expected 10 to 60000, found 1",
        "bfd-profiles[0].minimum-ttl: expected 1 to 254, found 255",
    ] {
        assert!(found.lines().any(|line| line == expected), "{expected}\nis not in\n{found}");
    }
    let begins = [
        "address-pools[0].addresses[2]: \"10.0.2.1\" is neither",
        "address-pools[3].bgp-advertisements[0].communities[0]: \"unknown\" is not a community; ",
        "bgp-communities.bad: \"1:2:3\" is not a community; ",
        "bfd-profiles[0].name: \"!\" cannot become",
    ];
    for expected in begins {
        assert!(found.lines().any(|line| line.starts_with(expected)), "{expected}\nis not in\n{found}");
    }
    assert_eq!(found.lines().count(), 32, "{found}");
}

#[test]
fn the_command_line_wants_one_source() {
    let usage = |args: &[&str]| {
        let args = [&["ferrolb", "migrate"], args].concat();
        <crate::cli::Cli as clap::Parser>::try_parse_from(args).map(drop).map_err(|error| error.to_string())
    };
    for right in [
        &["-", "--only-data"][..],
        &["-", "--apply"],
        &["-", "--remove-metallb-webhooks"],
        &["--from-cluster"],
        &["--from-cluster", "--apply", "--remove-metallb-webhooks"],
        &["--remove-metallb-webhooks"],
        &["--remove-metallb-webhooks", "--apply"],
    ] {
        assert_eq!(usage(right), Ok(()), "{right:?}");
    }
    assert!(usage(&[]).unwrap_err().contains("<FILE>"), "{:?}", usage(&[]));
    for wrong in [&["-", "--from-cluster"][..], &["--from-cluster", "--only-data"], &["--apply"]] {
        assert!(usage(wrong).is_err(), "{wrong:?}");
    }
}
