use super::*;
use serde_json::json;

const NAMESPACE: &str = "metallb-system";

fn scope() -> ScopeConfig {
    ScopeConfig { config_namespaces: vec!["ferrolb-system".into(), NAMESPACE.into()], lb_class: None }
}

/// An object as the API server sends it.
fn object(kind: &str, place: &str, spec: Value) -> Value {
    let (namespace, name) = place.split_once('/').unwrap_or((NAMESPACE, place));
    let version = if kind == "BGPPeer" { "v1beta2" } else { "v1beta1" };
    json!({
        "apiVersion": format!("metallb.io/{version}"), "kind": kind, "spec": spec,
        "metadata": {"name": name, "namespace": namespace, "uid": place, "resourceVersion": "1"},
    })
}

fn pool(place: &str, addresses: &[&str]) -> Value {
    object(
        "IPAddressPool",
        place,
        json!({"addresses": addresses, "autoAssign": true, "avoidBuggyIPs": false}),
    )
}

fn cluster(objects: &[Value]) -> Cluster {
    let mut cluster = Cluster::default();
    for object in objects {
        if object["kind"] == "Node" {
            let node = serde_json::from_value(object.clone()).unwrap();
            cluster.objects.nodes.push(Arc::new(node));
            continue;
        }
        let kind = Kind::named("metallb.io", object["kind"].as_str().unwrap()).unwrap();
        kind.put(&mut cluster, object).unwrap();
    }
    cluster
}

fn request(operation: &str, object: &Value) -> AdmissionRequest {
    let (group, version) = object["apiVersion"].as_str().unwrap().split_once('/').unwrap();
    let (new, old) = if operation == "DELETE" { (&Value::Null, object) } else { (object, &Value::Null) };
    serde_json::from_value(json!({
        "uid": "u", "operation": operation, "namespace": object["metadata"]["namespace"],
        "kind": {"group": group, "version": version, "kind": object["kind"]},
        "object": new, "oldObject": old,
    }))
    .unwrap()
}

/// Why `operation` on `object` is denied; empty when it is allowed.
fn denial(operation: &str, object: &Value, cluster: &Cluster) -> String {
    match verdict(&request(operation, object), cluster, &scope()) {
        Verdict::Allow => String::new(),
        Verdict::Unchecked(why) => panic!("unchecked: {why}"),
        Verdict::Deny(why) => why,
    }
}

#[track_caller]
fn denied(operation: &str, object: &Value, cluster: &Cluster, expected: &str) {
    let why = denial(operation, object, cluster);
    assert!(why.contains(expected), "expected {expected:?}, found {why:?}");
}

#[track_caller]
fn allowed(operation: &str, object: &Value, cluster: &Cluster) {
    assert_eq!(denial(operation, object, cluster), "");
}

#[test]
fn each_kind_is_created_where_it_is_read_only() {
    let kinds =
        ["IPAddressPool", "L2Advertisement", "BGPAdvertisement", "BGPPeer", "Community", "BFDProfile"];
    for kind in kinds {
        let stray = object(kind, "default/a", json!({"addresses": ["10.0.0.0/24"], "myASN": 1}));
        denied(
            "CREATE",
            &stray,
            &Cluster::default(),
            "resource must be created in metallb-system namespace or in",
        );
        allowed("UPDATE", &stray, &Cluster::default());
        allowed("DELETE", &stray, &Cluster::default());
    }
    let foreign = json!({"apiVersion": "example.org/v1", "kind": "IPAddressPool",
        "metadata": {"name": "a", "namespace": "default"}});
    allowed("CREATE", &foreign, &Cluster::default());
}

#[test]
fn a_pool_that_overlaps_is_denied_whichever_of_the_two_has_the_earlier_name() {
    let cluster = cluster(&[pool("m", &["10.0.0.0/24"])]);
    for name in ["a", "z", "ferrolb-system/a"] {
        denied("CREATE", &pool(name, &["10.0.0.9/32"]), &cluster, "overlaps with already defined CIDR");
        allowed("CREATE", &pool(name, &["10.0.1.0/24"]), &cluster);
    }
    allowed("UPDATE", &pool("m", &["10.0.0.0/25", "10.0.1.0/24"]), &cluster);
    denied(
        "UPDATE",
        &pool("m", &["10.0.0.0/25", "10.0.0.1/32"]),
        &cluster,
        "overlaps with already defined CIDR",
    );
    denied(
        "CREATE",
        &pool("ferrolb-system/m", &["10.9.0.0/24"]),
        &cluster,
        "already defined in another namespace",
    );
    denied("CREATE", &pool("n", &["10.9.0.9-10.9.0.1"]), &cluster, "start is above end");
}

#[test]
fn an_old_mistake_blocks_no_write_and_no_correction_of_itself() {
    let broken =
        [pool("a", &["10.0.0.0/24"]), pool("b", &["10.0.0.0/25"]), pool("c", &["10.7.0.9-10.7.0.1"])];
    let cluster = cluster(&broken);
    allowed("CREATE", &pool("d", &["10.1.0.0/24"]), &cluster);
    // b goes on to overlap, with other words.
    allowed("UPDATE", &pool("a", &["10.0.0.0/26"]), &cluster);
    for pool in &broken {
        let mut labelled = pool.clone();
        labelled["metadata"]["labels"] = json!({"x": "y"});
        allowed("UPDATE", &labelled, &cluster);
        allowed("DELETE", pool, &cluster);
    }
    allowed("UPDATE", &pool("b", &["10.2.0.0/24"]), &cluster);
    denied("UPDATE", &pool("c", &["10.7.0.9-10.7.0.2"]), &cluster, "start is above end");
    denied("CREATE", &pool("bb", &["10.0.0.200/32"]), &cluster, "overlaps with already defined CIDR");
}

#[test]
fn an_advertisement_that_means_nothing_is_denied() {
    let selectors = |operator: &str| json!([{"matchExpressions": [{"key": "a", "operator": operator}]}]);
    let advertisement = |operator: &str| {
        object(
            "L2Advertisement",
            "a",
            json!({"ipAddressPools": ["missing"], "nodeSelectors": selectors(operator)}),
        )
    };
    allowed("CREATE", &advertisement("Exists"), &Cluster::default());
    denied("CREATE", &advertisement("In"), &Cluster::default(), "spec.nodeSelectors[0]");
    denied(
        "CREATE",
        &object("L2Advertisement", "a", json!({"interfaces": 7})),
        &Cluster::default(),
        "shape of its kind",
    );
}

#[test]
fn an_aggregate_larger_than_an_entry_of_its_pools_is_denied() {
    let mut labelled = pool("labelled", &["fd00::/120"]);
    labelled["metadata"]["labels"] = json!({"tier": "web"});
    let cluster = cluster(&[pool("narrow", &["1.1.1.0/28"]), pool("wide", &["2.0.0.0/8"]), labelled]);
    let advertisement = |name: &str, spec: Value| object("BGPAdvertisement", name, spec);
    let deny = |spec: Value, expected: &str| denied("CREATE", &advertisement("a", spec), &cluster, expected);
    deny(
        json!({"aggregationLength": 26}),
        "invalid aggregation length 26: prefix 28 in this pool is more specific than the aggregation length for \
         addresses 1.1.1.0/28",
    );
    deny(json!({"ipAddressPools": ["narrow"], "aggregationLength": 26}), "invalid aggregation length 26");
    deny(
        json!({"ipAddressPoolSelectors": [{"matchLabels": {"tier": "web"}}], "aggregationLengthV6": 64}),
        "invalid aggregation length 64: prefix 120 in this pool",
    );
    deny(json!({"communities": ["no-export", "1:2:3:4"]}), "expected community to be of format large");
    deny(
        json!({"ipAddressPools": ["wide"], "aggregationLength": 24, "serviceSelectors": [{}]}),
        "serviceSelectors and aggregationLength are mutually exclusive",
    );
    for spec in [
        json!({}),
        json!({"communities": ["no-export", "1:2", "large:1:2:3"]}),
        json!({"ipAddressPools": ["wide", "narrow"], "aggregationLength": 28}),
        json!({"ipAddressPools": ["wide"], "aggregationLength": 24}),
    ] {
        allowed("CREATE", &advertisement("a", spec), &cluster);
    }
    // Names resolve within their namespace.
    allowed("CREATE", &advertisement("ferrolb-system/a", json!({"aggregationLength": 8})), &cluster);
}

#[test]
fn an_alias_is_defined_once_and_well() {
    let community = |name: &str, aliases: &[(&str, &str)]| {
        let aliases: Vec<Value> =
            aliases.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        object("Community", name, json!({"communities": aliases}))
    };
    let cluster = cluster(&[community("m", &[("vpn", "1:1")]), community("old", &[("x", "broken")])]);
    for name in ["a", "z"] {
        denied(
            "CREATE",
            &community(name, &[("vpn", "2:2")]),
            &cluster,
            "duplicate definition of community \"vpn\"",
        );
        denied(
            "CREATE",
            &community(name, &[("b", "99999:1")]),
            &cluster,
            "invalid community value: invalid section",
        );
        allowed("CREATE", &community(name, &[("b", "large:1:2:3")]), &cluster);
    }
    denied(
        "UPDATE",
        &community("m", &[("vpn", "1:1:1:1")]),
        &cluster,
        "expected community to be of format large",
    );
    denied(
        "CREATE",
        &community("a", &[("b", "1:1"), ("b", "1:2")]),
        &cluster,
        "duplicate definition of community",
    );
    allowed("UPDATE", &community("m", &[("vpn", "1:2")]), &cluster);
}

fn peer(name: &str, spec: Value) -> Value {
    let mut peer = object("BGPPeer", name, json!({"myASN": 64500, "peerASN": 64501}));
    peer["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    peer
}

#[test]
fn a_peer_has_an_address_and_is_no_other_peer_on_the_same_node() {
    let zone = |zone: &str| json!([{"matchLabels": {"zone": zone}}]);
    let node = |name: &str, zone: &str| json!({"kind": "Node", "apiVersion": "v1", "metadata": {"name": name, "labels": {"zone": zone}}});
    let tor = peer("m", json!({"peerAddress": "10.200.200.2", "nodeSelectors": zone("a")}));
    let cluster = cluster(&[tor, node("one", "a"), node("two", "b")]);
    let taken = "peer 10.200.200.2 already exists, FRR mode doesn't support duplicate BGPPeers selecting the same node";
    for name in ["a", "z"] {
        let same = |spec: Value| {
            let mut same = peer(name, json!({"peerAddress": "10.200.200.2", "peerPort": 1179}));
            same["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
            same
        };
        denied("CREATE", &same(json!({})), &cluster, taken);
        allowed("CREATE", &same(json!({"nodeSelectors": zone("b")})), &cluster);
        allowed("CREATE", &same(json!({"vrf": "red"})), &cluster);
        denied(
            "CREATE",
            &peer(name, json!({"peerAddress": "10.200.200"})),
            &cluster,
            "invalid BGPPeer address \"10.200.200\"",
        );
    }
    allowed("UPDATE", &peer("m", json!({"peerAddress": "10.200.200.2"})), &cluster);
}

#[test]
fn a_profile_in_use_is_not_deleted() {
    let cluster = cluster(&[peer("tor", json!({"peerAddress": "10.0.0.1", "bfdProfile": "fast"}))]);
    let profile = |place: &str| object("BFDProfile", place, json!({}));
    denied("DELETE", &profile("fast"), &cluster, "failed to delete BFDProfile fast, used by BGPPeer tor");
    allowed("DELETE", &profile("slow"), &cluster);
    allowed("DELETE", &profile("ferrolb-system/fast"), &cluster);
    allowed("CREATE", &profile("other"), &cluster);
}
