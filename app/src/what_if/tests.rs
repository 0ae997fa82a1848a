use super::*;
use clap::Parser;
use ferrolb_cluster::controller::ControllerObjects;
use ferrolb_plan::ServingEndpoints;
use serde_json::{Value, json};
use std::sync::Arc;

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    plan: PlanConfig,
}

fn object<K: serde::de::DeserializeOwned>(value: Value) -> Arc<K> {
    Arc::new(serde_json::from_value(value).unwrap())
}

fn service(name: &str, address: Option<&str>) -> Value {
    let ingress: Vec<Value> = address.iter().map(|address| json!({"ip": address})).collect();
    json!({
        "metadata": {"namespace": "default", "name": name},
        "spec": {"type": "LoadBalancer", "clusterIPs": ["10.233.0.9"]},
        "status": {"loadBalancer": {"ingress": ingress}},
    })
}

fn pool(name: &str, range: &str) -> Value {
    json!({"metadata": {"namespace": "metallb-system", "name": name}, "spec": {"addresses": [range]}})
}

/// Two nodes with a speaker in 10.0.0.0/24, one pool of two addresses there, and Services with an
/// address each.
fn cluster(services: &[(&str, Option<&str>)]) -> ControllerObjects {
    let node = |name| object(json!({"metadata": {"name": name}}));
    let state = |name| {
        object(json!({
            "metadata": {"name": name},
            "status": {"links": [{"name": "eth0", "up": true, "subnets": ["10.0.0.0/24"]}]},
        }))
    };
    let mut objects = ControllerObjects {
        services: services.iter().map(|(name, address)| object(service(name, *address))).collect(),
        nodes: vec![node("worker1"), node("worker2")],
        node_states: vec![state("worker1"), state("worker2")],
        ..ControllerObjects::default()
    };
    objects.config.pools.push(object(pool("lb-pool", "10.0.0.1-10.0.0.2")));
    objects
}

/// The table of what `edit` would do to `today`, when every Service has an endpoint.
fn planned(today: &ControllerObjects, edit: impl FnOnce(&mut ControllerObjects)) -> String {
    planned_under(&[], today, edit)
}

/// The same, when these Services are announced by these nodes today.
fn planned_under(
    announcers: &[(&str, &str)],
    today: &ControllerObjects,
    edit: impl FnOnce(&mut ControllerObjects),
) -> String {
    let config = Flags::parse_from(["plan", "-f", "-"]).plan;
    let mut changed = today.clone();
    edit(&mut changed);
    let serving = || ServingEndpoints { any: true, ..ServingEndpoints::default() };
    let endpoints = ["a", "b", "c"].map(|name| (ServiceKey::new("default", name), serving()));
    let announcer = |(service, node): &(&str, &str)| (ServiceKey::new("default", *service), (*node).into());
    let traffic =
        Traffic { endpoints: endpoints.into(), announcers: announcers.iter().map(announcer).collect() };
    report::table(&predict(today, &changed, &traffic, &config))
}

#[test]
fn a_change_of_nothing_changes_nothing() {
    let today = cluster(&[("a", Some("10.0.0.2")), ("b", Some("10.0.0.1"))]);
    assert_eq!(planned(&today, |_| ()), "2 Services keep, 0 gain, 0 lose, 0 move\n");
}

#[test]
fn who_is_left_in_a_smaller_pool_keeps_and_the_other_loses() {
    let today = cluster(&[("a", Some("10.0.0.2")), ("b", Some("10.0.0.1"))]);
    let text = planned(&today, |objects| {
        objects.config.pools = vec![object(pool("lb-pool", "10.0.0.1/32"))];
    });
    let (line, summary) = text.split_once('\n').unwrap();
    assert!(
        line.starts_with("default/a  loses  10.0.0.2 -> -  [\"10.0.0.2\"] is not allowed in config"),
        "{text}"
    );
    assert!(line.contains("and gets no other: no available IPs"), "{text}");
    assert_eq!(summary, "1 Service keeps, 0 gain, 1 loses, 0 move\n");
}

#[test]
fn who_is_left_out_moves_where_there_is_room_and_who_waited_gains() {
    let today = cluster(&[("a", Some("10.0.0.2")), ("b", Some("10.0.0.1")), ("c", None)]);
    let text = planned(&today, |objects| {
        objects.config.pools =
            vec![object(pool("lb-pool", "10.0.0.1/32")), object(pool("more", "10.0.0.8/30"))];
    });
    assert!(text.contains("default/a  moves  10.0.0.2 -> 10.0.0.8  "), "{text}");
    assert!(text.contains("default/c  gains  - -> 10.0.0.9         from pool more"), "{text}");
    assert!(text.ends_with("1 Service keeps, 1 gains, 0 lose, 1 moves\n"), "{text}");
}

#[test]
fn a_pool_that_is_rejected_is_told_and_takes_nothing_away() {
    let today = cluster(&[("a", Some("10.0.0.2"))]);
    let text = planned(&today, |objects| {
        objects.config.pools.push(object(pool("a-first", "10.0.0.0/30")));
    });
    let (line, summary) = text.split_once('\n').unwrap();
    assert!(line.starts_with("IPAddressPool metallb-system/lb-pool  PoolOverlap: CIDR"), "{text}");
    assert_eq!(summary, "1 Service keeps, 0 gain, 0 lose, 0 move\n");
}

#[test]
fn an_advertisement_that_covers_no_pool_silences_it() {
    let today = cluster(&[("a", Some("10.0.0.2"))]);
    let text = planned(&today, |objects| {
        objects.config.l2_advertisements.push(object(json!({
            "metadata": {"namespace": "metallb-system", "name": "other"},
            "spec": {"ipAddressPools": ["other"]},
        })));
    });
    assert!(
        text.contains("default/a  keeps  10.0.0.2  announced by nobody: no L2Advertisement covers"),
        "{text}"
    );
    assert!(text.contains("IPAddressPool metallb-system/lb-pool  NoAdvertisement: "), "{text}");
    assert!(text.contains("L2Advertisement metallb-system/other  UnknownPool: "), "{text}");
    assert!(text.ends_with("1 Service keeps, 0 gain, 0 lose, 0 move; 1 is announced no more\n"), "{text}");
}

#[test]
fn an_address_changes_its_node_when_that_is_not_selected_any_more() {
    let today = cluster(&[("a", Some("10.0.0.2")), ("b", Some("10.0.0.1"))]);
    let mut changes = 0;
    for (gone, other) in [("worker1", "worker2"), ("worker2", "worker1")] {
        let text = planned(&today, |objects| objects.node_states.retain(|state| state.name_any() != gone));
        let changed = text.matches(&format!("announced by {gone} -> {other}")).count();
        assert_eq!(text.lines().count(), changed + 1, "{text}");
        changes += changed;
    }
    assert_eq!(changes, 2, "each of the two addresses has one node");
}

#[test]
fn who_announces_goes_on_whoever_comes_first_and_gives_way_to_a_drain() {
    let today = cluster(&[("a", Some("10.0.0.2"))]);
    for (owner, other) in [("worker1", "worker2"), ("worker2", "worker1")] {
        let announcers = [("a", owner)];
        let text = planned_under(&announcers, &today, |objects| {
            objects.nodes.push(object(json!({"metadata": {"name": "worker3"}})));
        });
        assert_eq!(text, "1 Service keeps, 0 gain, 0 lose, 0 move\n");
        let text = planned_under(&announcers, &today, |objects| {
            let annotations = json!({"ferrolb.io/drain": "true"});
            objects.nodes.retain(|node| node.name_any() != owner);
            objects.nodes.push(object(json!({"metadata": {"name": owner, "annotations": annotations}})));
        });
        assert!(text.contains(&format!("announced by {owner} -> {other}")), "{text}");
    }
}

#[test]
fn what_the_controller_has_yet_to_do_is_told_apart() {
    let today = cluster(&[("a", Some("10.9.9.9"))]);
    let text = planned(&today, |_| ());
    assert!(text.starts_with("default/a  the controller has yet to act on it"), "{text}");
    assert!(text.ends_with("1 Service keeps, 0 gain, 0 lose, 0 move\n"), "{text}");
}

#[test]
fn as_json_every_service_is_listed() {
    let today = cluster(&[("a", Some("10.0.0.2"))]);
    let config = Flags::parse_from(["plan", "-f", "-"]).plan;
    let mut changed = today.clone();
    changed.config.pools.clear();
    let outcome = predict(&today, &changed, &Traffic::default(), &config);
    let json: Value = serde_json::from_str(&report::json(&outcome).unwrap()).unwrap();
    assert_eq!(json["summary"]["lose"], 1);
    assert_eq!(json["services"][0]["effect"], "loses");
    assert_eq!(json["services"][0]["before"]["addresses"], json!(["10.0.0.2"]));
    assert_eq!(json["services"][0]["after"]["announcer"]["reason"], "NoAddress");
}

#[test]
fn a_plan_needs_a_file_or_a_deletion() {
    assert!(Flags::try_parse_from(["plan"]).is_err());
    assert!(Flags::try_parse_from(["plan", "--delete", "pod/web"]).is_err());
    assert!(Flags::try_parse_from(["plan", "--delete", "node/worker1"]).is_ok());
}

fn claim(name: &str, address: &str, recorded: Option<&str>) -> Value {
    let reserved = recorded.map(|address| {
        json!({"address": address, "conditions": [{
            "type": "Reserved", "status": "True", "reason": "Reserved", "message": "",
            "lastTransitionTime": "2026-11-20T07:00:00Z",
        }]})
    });
    json!({
        "apiVersion": "ferrolb.io/v1alpha1",
        "kind": "AddressClaim",
        "metadata": {"namespace": "default", "name": name},
        "spec": {"address": address},
        "status": reserved,
    })
}

#[test]
fn a_claim_that_loses_its_address_is_told_as_its_service_is() {
    let mut today = cluster(&[("a", Some("10.0.0.2"))]);
    today.claims.push(object(claim("c", "10.0.0.1", Some("10.0.0.1"))));
    today.claims.push(object(claim("d", "10.0.0.2", None)));
    let text = planned(&today, |objects| {
        objects.config.pools = vec![object(pool("lb-pool", "10.0.0.2/32"))];
    });
    let expected = "AddressClaim default/c  loses  10.0.0.1 -> -  10.0.0.1 is in no IPAddressPool; add it to one or \
                    ask for another address\n1 Service keeps, 0 gain, 0 lose, 0 move; 1 claim loses its address\n";
    assert_eq!(text, expected, "the one that goes on waiting is no news");
}

#[test]
fn what_a_service_gives_up_is_followed_to_the_claim_that_waits_for_it() {
    let mut today = cluster(&[("a", Some("10.0.0.2"))]);
    today.claims.push(object(claim("c", "10.0.0.2", None)));
    let text = planned(&today, |objects| {
        let mut asking = service("a", Some("10.0.0.2"));
        asking["metadata"]["annotations"] = json!({"metallb.io/loadBalancerIPs": "10.0.0.1"});
        let mut bound = service("b", None);
        bound["metadata"]["annotations"] = json!({"ferrolb.io/address-claim": "c"});
        objects.services = vec![object(asking), object(bound)];
    });
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("default/a               moves  10.0.0.2 -> 10.0.0.1  "), "{text}");
    assert_eq!(lines[1], "default/b               gains  - -> 10.0.0.2         from pool lb-pool");
    assert_eq!(lines[2], "AddressClaim default/c  gains  - -> 10.0.0.2         reserved from pool lb-pool");
    assert_eq!(lines[3], "0 Services keep, 1 gains, 0 lose, 1 moves");
}
