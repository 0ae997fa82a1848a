use super::*;
use kube::core::DeserializeGuard;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// An object named like `place`, in MetalLB's namespace unless that says another.
fn object<K>(place: &str, spec: &Value) -> Guarded<K>
where
    K: kube::Resource<DynamicType = ()> + DeserializeOwned,
{
    let (namespace, name) = place.split_once('/').unwrap_or(("metallb-system", place));
    let metadata = json!({"namespace": namespace, "name": name, "resourceVersion": "1"});
    let object = json!({"metadata": metadata, "spec": spec});
    Arc::new(serde_json::from_value::<DeserializeGuard<K>>(object).unwrap())
}

fn peer(place: &str, spec: &Value) -> Guarded<BgpPeer> {
    let mut all = json!({"myASN": 64512, "peerASN": 64513, "peerAddress": "10.200.200.2"});
    all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    object(place, &all)
}

fn zone(zone: &str) -> Value {
    json!([{"matchLabels": {"zone": zone}}])
}

/// Nodes a and b, labelled with their zone.
fn nodes() -> BTreeMap<NodeName, plan::Node> {
    let node = |name: &str| {
        let labels = [("zone", name)].into();
        (NodeName::from(name), plan::Node { labels, ..plan::Node::default() })
    };
    [node("a"), node("b")].into()
}

/// `object: reason: message` of each error, with as much of the message as it takes to tell.
fn told(errors: &[ObjectError]) -> Vec<String> {
    let line = |error: &ObjectError| {
        let message: String = error.message.chars().take(90).collect();
        format!("{}: {}: {message}", error.object.name.as_deref().unwrap_or_default(), error.reason)
    };
    errors.iter().map(line).collect()
}

fn reasons(errors: &[ObjectError]) -> Vec<(&str, &str)> {
    errors.iter().map(|error| (error.object.name.as_deref().unwrap_or_default(), error.reason)).collect()
}

#[test]
fn of_two_peers_of_a_node_the_later_is_told_that_the_first_is_there() {
    // acceptance 111, 119, 120
    let (known, none) = (nodes(), BTreeMap::new());
    let taken = "m: DuplicatePeer: peer 10.200.200.2 already exists, FRR mode doesn't support duplicate BGPPeers \
                 selecting the same node: ";
    for (name, other, viewpoint, clashes) in [
        ("any nodes", json!({}), Viewpoint::AllNodes(&known), true),
        ("another port", json!({"peerPort": 1179}), Viewpoint::AllNodes(&known), true),
        (
            "the same address otherwise",
            json!({"peerAddress": "::ffff:10.200.200.2"}),
            Viewpoint::AllNodes(&known),
            true,
        ),
        ("the same zone", json!({"nodeSelectors": zone("a")}), Viewpoint::AllNodes(&known), true),
        ("another zone", json!({"nodeSelectors": zone("b")}), Viewpoint::AllNodes(&known), false),
        ("no known node", json!({"nodeSelectors": zone("c")}), Viewpoint::AllNodes(&known), false),
        (
            "nodes that nobody knows yet",
            json!({"nodeSelectors": zone("b")}),
            Viewpoint::AllNodes(&none),
            true,
        ),
        ("another VRF", json!({"vrf": "red"}), Viewpoint::AllNodes(&known), false),
        ("another address", json!({"peerAddress": "10.200.200.3"}), Viewpoint::AllNodes(&known), false),
        ("an interface", json!({"peerAddress": "", "interface": "eth0"}), Viewpoint::AllNodes(&known), false),
    ] {
        let peers = [peer("m", &json!({"nodeSelectors": zone("a")})), peer("b", &other)];
        let errors = peer_errors(&peers, viewpoint);
        assert_eq!(errors.len(), usize::from(clashes), "{name}: {errors:?}");
        if clashes {
            let told = format!("m: {}: {}", errors[0].reason, errors[0].message);
            assert!(told.starts_with(taken) && told.contains("BGPPeer metallb-system/b is"), "{told}");
        }
    }
    let peers = [peer("m", &json!({"nodeSelectors": zone("a")})), peer("b", &json!({}))];
    for (node, count) in [("a", 1), ("b", 0)] {
        let viewpoint = Viewpoint::Node(&known[&NodeName::from(node)].labels);
        assert_eq!(peer_errors(&peers, viewpoint).len(), count, "as node {node} sees it");
    }
}

#[test]
fn of_two_ranges_of_a_node_that_overlap_the_later_is_told_that_the_first_is_there() {
    let known = nodes();
    let ranged = |place: &str, range: &str, spec: &Value| -> Guarded<BgpPeer> {
        let (namespace, name) = ("metallb-system", place);
        let metadata = json!({
            "namespace": namespace, "name": name, "resourceVersion": "1",
            "annotations": {"ferrolb.io/listen-range": range},
        });
        let address = range.split('/').next();
        let mut all = json!({"myASN": 64512, "peerASN": 64513, "peerAddress": address});
        all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let object = json!({"metadata": metadata, "spec": all});
        Arc::new(serde_json::from_value::<DeserializeGuard<BgpPeer>>(object).unwrap())
    };
    for (name, range, spec, expected) in [
        ("within", "10.200.200.128/25", json!({}), "m: OverlappingListenRange"),
        ("around, and more", "10.200.0.0/16,2001:db8::/64", json!({}), "m: OverlappingListenRange"),
        ("the same", "10.200.200.0/24", json!({}), "m: DuplicatePeer"),
        ("beside", "10.200.201.0/24", json!({}), ""),
        ("another VRF", "10.200.200.0/24", json!({"vrf": "red"}), ""),
        ("another zone", "10.200.200.0/24", json!({"nodeSelectors": zone("b")}), ""),
    ] {
        let first = ranged("b", range, &spec);
        let later = ranged("m", "10.200.200.0/24", &json!({"nodeSelectors": zone("a")}));
        // One peer that is named lies in the range, and is that peer.
        let peers = [later, peer("fixed", &json!({})), first];
        let errors = told(&peer_errors(&peers, Viewpoint::AllNodes(&known)));
        assert_eq!(errors.len(), usize::from(!expected.is_empty()), "{name}: {errors:?}");
        assert!(errors.iter().all(|error| error.starts_with(expected)), "{name}: {errors:?}");
    }
}

#[test]
fn an_aggregate_larger_than_an_entry_of_its_pools_is_told() {
    // acceptance 116
    let pool =
        |place: &str, addresses: &[&str]| object::<IpAddressPool>(place, &json!({"addresses": addresses}));
    let pools = [
        pool("narrow", &["2.0.0.0/8", "1.1.1.0/28"]),
        pool("v6", &["fd00::/120"]),
        pool("range", &["10.0.0.1-10.0.0.255"]),
        pool("ferrolb-system/elsewhere", &["9.9.9.9/32"]),
        pool("broken", &["10.7.0.9-10.7.0.1"]),
    ];
    let nodes = nodes();
    let errors = |spec: Value| {
        let all = [object::<BgpAdvertisement>("all", &spec)];
        let errors = advertisement_errors(&all, &pools, Viewpoint::AllNodes(&nodes));
        errors.into_iter().map(|error| error.message).collect::<Vec<_>>()
    };
    let more = "in this pool is more specific than the aggregation length for addresses";
    assert_eq!(
        errors(json!({"ipAddressPools": ["narrow"], "aggregationLength": 26})),
        [format!("invalid aggregation length 26: prefix 28 {more} 1.1.1.0/28")]
    );
    assert_eq!(
        errors(json!({"ipAddressPools": ["v6"], "aggregationLength": 1, "aggregationLengthV6": 64})),
        [format!("invalid aggregation length 64: prefix 120 {more} fd00::/120")],
        "MetalLB prints the length of IPv4"
    );
    assert_eq!(
        errors(json!({"ipAddressPools": ["range"], "aggregationLength": 24})),
        [format!("invalid aggregation length 24: prefix 25 {more} 10.0.0.1-10.0.0.255")]
    );
    assert_eq!(errors(json!({"aggregationLength": 24})).len(), 2, "each pool is told");
    for spec in [
        json!({}),
        json!({"ipAddressPools": ["range"], "aggregationLength": 25}),
        json!({"ipAddressPools": ["narrow"], "aggregationLength": 28}),
        json!({"ipAddressPools": ["elsewhere"], "aggregationLength": 8}),
        json!({"ipAddressPools": ["broken"], "aggregationLength": 8}),
    ] {
        assert_eq!(errors(spec.clone()), [""; 0], "{spec}");
    }
}

#[test]
fn preferences_that_clash_in_a_pool_are_told_at_the_later_advertisement() {
    let pools = [
        object::<IpAddressPool>("v4", &json!({"addresses": ["198.51.100.0/24"]})),
        object::<IpAddressPool>("dual", &json!({"addresses": ["203.0.113.0/24", "fd00::/64"]})),
    ];
    let known = nodes();
    let clash = |one: Value, other: Value, viewpoint| {
        let all = [object::<BgpAdvertisement>("b", &other), object::<BgpAdvertisement>("a", &one)];
        let errors = advertisement_errors(&all, &pools, viewpoint);
        assert!(errors.iter().all(|error| error.object.name.as_deref() == Some("b")), "{errors:?}");
        errors.into_iter().map(|error| error.message).next()
    };
    let all = Viewpoint::AllNodes(&known);
    let message = clash(json!({"localPref": 100}), json!({"localPref": 200}), all).unwrap();
    assert!(
        message.starts_with(
            "invalid local preference 200: local preference 100 was already set for the same type of BGP update by \
             BGPAdvertisement metallb-system/a, for IPAddressPool dual"
        ),
        "{message}"
    );
    assert!(clash(json!({}), json!({"localPref": 1}), all).unwrap().contains("preference 0 was already set"));
    let with = |fields: Value| {
        let mut spec = json!({"localPref": 200});
        spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        spec
    };
    let a = &known[&NodeName::from("a")].labels;
    let b = &known[&NodeName::from("b")].labels;
    for (one, other, viewpoint, clashes) in [
        (json!({}), json!({"localPref": 0}), all, false),
        (json!({"peers": ["x"]}), with(json!({"peers": ["y"]})), all, false),
        (json!({"peers": ["x"]}), with(json!({"peers": ["y", "x"]})), all, true),
        (json!({"ipAddressPools": ["v4"]}), with(json!({"aggregationLength": 25})), all, false),
        (json!({"ipAddressPools": ["v4"]}), with(json!({"aggregationLengthV6": 80})), all, true),
        (json!({"ipAddressPools": ["dual"]}), with(json!({"aggregationLength": 25})), all, true),
        (
            json!({"ipAddressPools": ["dual"]}),
            with(json!({"aggregationLength": 25, "aggregationLengthV6": 80})),
            all,
            false,
        ),
        (json!({"ipAddressPools": ["v4"]}), with(json!({"ipAddressPools": ["dual"]})), all, false),
        (json!({}), with(json!({"serviceSelectors": [{}]})), all, false),
        (json!({"nodeSelectors": zone("a")}), with(json!({"nodeSelectors": zone("b")})), all, false),
        (json!({"nodeSelectors": zone("a")}), with(json!({})), all, true),
        (json!({"nodeSelectors": zone("a")}), with(json!({})), Viewpoint::Node(a), true),
        (json!({"nodeSelectors": zone("a")}), with(json!({})), Viewpoint::Node(b), false),
    ] {
        assert_eq!(clash(one.clone(), other.clone(), viewpoint).is_some(), clashes, "{one} {other}");
    }
}

/// Two peers, a profile with echo mode, a pool of both families, and who advertises it.
fn objects(advertisement: &Value, tor: &Value) -> (BgpObjects, Vec<Guarded<IpAddressPool>>) {
    let communities = json!({"communities": [{"name": "vpn", "value": "1:1"}]});
    let objects = BgpObjects {
        peers: vec![peer("tor", tor), peer("other", &json!({"peerAddress": "10.200.200.3"}))],
        advertisements: vec![object("all", advertisement)],
        communities: vec![object("names", &communities)],
        profiles: vec![object("echo", &json!({"echoMode": true})), object("plain", &json!({}))],
        secrets: Some(Vec::new()),
    };
    (objects, vec![object("dual", &json!({"addresses": ["198.51.100.0/24", "fd00::/64"]}))])
}

#[test]
fn everything_is_read_together() {
    let spec = json!({"communities": ["vpn"], "peers": ["tor"]});
    let (objects, pools) = objects(&spec, &json!({"bfdProfile": "plain"}));
    let known = nodes();
    let config = objects.read(&pools, &BgpConfig::default(), Viewpoint::AllNodes(&known));
    assert_eq!(told(&config.errors), [""; 0]);
    assert_eq!((config.peers.len(), config.advertisements.len()), (2, 1));
    assert!(config.peers[&ObjectName::new("metallb-system", "tor")].bfd.is_some());
}

#[test]
fn echo_packets_and_ipv6_prefixes_do_not_go_together() {
    let known = nodes();
    let errors = |advertisement: Value| {
        let (objects, pools) = objects(&advertisement, &json!({"bfdProfile": "echo"}));
        let config = objects.read(&pools, &BgpConfig::default(), Viewpoint::AllNodes(&known));
        assert_eq!(config.peers.len(), 2, "it is told, and goes on");
        told(&config.errors)
    };
    let expected = "tor: EchoWithIPv6: spec.bfdProfile: the profile has echoMode, but BGPAdvertisement \
                    metallb-system/all tells this peer of";
    for told in [json!({}), json!({"peers": ["tor"]})] {
        let errors = errors(told);
        assert!(errors.len() == 1 && expected.starts_with(&errors[0]), "{errors:?}");
    }
    for kept in [json!({"peers": ["other"]}), json!({"ipAddressPools": ["v4"]})] {
        assert_eq!(errors(kept), [""; 0]);
    }
}

#[test]
fn a_mistake_is_told_and_takes_nothing_off_the_network() {
    // acceptance 107, 114
    let known = nodes();
    let read = |advertisement: Value, tor: Value, before: &BgpConfig| {
        let (objects, pools) = objects(&advertisement, &tor);
        objects.read(&pools, before, Viewpoint::AllNodes(&known))
    };
    let good = read(json!({"localPref": 7}), json!({"bfdProfile": "plain"}), &BgpConfig::default());
    assert_eq!(told(&good.errors), [""; 0]);
    let wrong = |before| read(json!({"communities": ["A"]}), json!({"bfdProfile": "missing"}), before);
    let bad = wrong(&good);
    assert_eq!(reasons(&bad.errors), [("tor", "UnknownReference"), ("all", "UnknownReference")]);
    assert_eq!((&bad.peers, &bad.advertisements), (&good.peers, &good.advertisements));
    let fresh = wrong(&BgpConfig::default());
    assert_eq!((fresh.peers.len(), fresh.advertisements.len()), (1, 0), "what never was does not begin");
    let healed = read(json!({"localPref": 7}), json!({"bfdProfile": "plain"}), &bad);
    assert!(healed.errors.is_empty() && healed.peers == good.peers);
    let gone = BgpObjects::default().read(&[], &good, Viewpoint::AllNodes(&known));
    assert!(gone.peers.is_empty() && gone.advertisements.is_empty(), "what is deleted is no mistake");
}

#[test]
fn what_cannot_be_read_at_all_goes_on_too() {
    let known = nodes();
    let (mut objects, pools) = objects(&json!({}), &json!({}));
    let good = objects.read(&pools, &BgpConfig::default(), Viewpoint::AllNodes(&known));
    objects.peers = vec![object("tor", &json!({"myASN": "many"}))];
    let bad = objects.read(&pools, &good, Viewpoint::AllNodes(&known));
    assert_eq!(reasons(&bad.errors), [("tor", "Unreadable")]);
    assert_eq!(bad.peers.keys().map(|name| name.name.as_str()).collect::<Vec<_>>(), ["tor"]);
}

#[test]
fn a_node_tells_only_of_objects_that_select_it() {
    // acceptance 105, 113
    let known = nodes();
    let (mut objects, pools) = objects(&json!({}), &json!({}));
    let broken = |place: &str, selectors: Value| {
        peer(place, &json!({"bfdProfile": "missing", "nodeSelectors": selectors}))
    };
    let unknown = json!([{"matchExpressions": [{"key": "zone", "operator": "Near"}]}]);
    objects.peers = vec![broken("of-a", zone("a")), broken("of-all", json!([])), broken("odd", unknown)];
    objects.advertisements = vec![object("of-a", &json!({"communities": ["A"], "nodeSelectors": zone("a")}))];
    let names = |viewpoint| {
        let config = objects.read(&pools, &BgpConfig::default(), viewpoint);
        config.errors.into_iter().map(|error| error.object.name.unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(names(Viewpoint::AllNodes(&known)), ["odd", "of-a", "of-all", "of-a"]);
    assert_eq!(
        names(Viewpoint::Node(&known[&NodeName::from("a")].labels)),
        ["odd", "of-a", "of-all", "of-a"]
    );
    assert_eq!(names(Viewpoint::Node(&known[&NodeName::from("b")].labels)), ["odd", "of-all"]);
}

#[test]
fn a_name_in_two_namespaces_is_an_error_on_the_second() {
    let known = nodes();
    let peers = [peer("tor", &json!({})), peer("ferrolb-system/tor", &json!({"peerAddress": "10.0.0.9"}))];
    let (read, errors) = bgp_peers(&peers, None, &BTreeMap::new());
    assert_eq!(read.keys().map(ToString::to_string).collect::<Vec<_>>(), ["ferrolb-system/tor"]);
    assert_eq!(errors[0].object.namespace.as_deref(), Some("metallb-system"));
    assert_eq!(reasons(&peer_errors(&peers, Viewpoint::AllNodes(&known))), [("tor", "PeerNameTaken")]);
}

#[test]
fn a_profile_is_in_use_by_the_peers_of_its_namespace() {
    // acceptance 124
    let peers = [peer("tor", &json!({"bfdProfile": "fast"}))];
    let why = profile_in_use("metallb-system", "fast", &peers).unwrap();
    assert!(why.starts_with("failed to delete BFDProfile fast, used by BGPPeer tor"), "{why}");
    assert_eq!(profile_in_use("ferrolb-system", "fast", &peers), None);
    assert_eq!(profile_in_use("metallb-system", "slow", &peers), None);
}
