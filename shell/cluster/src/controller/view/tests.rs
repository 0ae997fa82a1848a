use super::*;
use ferrolb_api::ip_address_pool::IpAddressPoolSpec;
use k8s_openapi::api::core::v1::Service;
use kube::core::DeserializeGuard;
use serde_json::json;

fn service(name: &str, annotation: Option<&str>, conditions: &[&str]) -> Arc<Service> {
    let conditions: Vec<_> = conditions
        .iter()
        .map(|type_| {
            let time = "2026-01-01T00:00:00Z";
            json!({"type": type_, "status": "True", "reason": "R", "message": "", "lastTransitionTime": time})
        })
        .collect();
    let annotations: BTreeMap<&str, &str> = annotation.into_iter().map(|key| (key, "lb-pool")).collect();
    let service = json!({
        "metadata": {"namespace": "default", "name": name, "annotations": annotations},
        "spec": {"type": "LoadBalancer"},
        "status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}, "conditions": conditions},
    });
    Arc::new(serde_json::from_value(service).unwrap())
}

fn pool(addresses: &[&str]) -> Guarded<IpAddressPool> {
    let addresses: Vec<_> = addresses.iter().map(|entry| (*entry).to_owned()).collect();
    let spec =
        IpAddressPoolSpec { addresses, auto_assign: true, avoid_buggy_ips: false, service_allocation: None };
    Arc::new(DeserializeGuard(Ok(IpAddressPool::new("lb-pool", spec))))
}

#[test]
fn without_any_pool_object_what_metallb_gave_is_not_judged() {
    let current = Some("metallb.io/ip-allocated-from-pool");
    let mut objects = ControllerObjects {
        services: vec![
            service("by-metallb", current, &[]),
            service("by-metallb-long-ago", Some("metallb.universe.tf/ip-allocated-from-pool"), &[]),
            service("by-ferrolb", current, &["ferrolb.io/AddressAllocated"]),
            service("by-nobody-known", None, &[]),
        ],
        ..ControllerObjects::default()
    };
    let names = |view: &ControllerView| {
        let name = |key: &ServiceKey| String::from(&*key.name);
        let judged: Vec<_> = view.services.keys().map(name).collect();
        (judged.join(" "), view.unclaimed.iter().map(name).collect::<Vec<_>>().join(" "))
    };
    let expected = ("by-ferrolb by-nobody-known".into(), "by-metallb by-metallb-long-ago".into());
    assert_eq!(names(&objects.view(None)), expected);
    objects.config.pools = vec![pool(&["not an address"])];
    assert_eq!(names(&objects.view(None)).1, "", "there is a pool, though nobody can read it");
    objects.config.pools = vec![pool(&["10.0.0.0/24"])];
    assert_eq!(names(&objects.view(None)).1, "");
}

/// What worker1 says about 10.0.0.1.
fn heard(state: &str) -> Arc<NodeState> {
    let conflict = json!({"address": "10.0.0.1", "mac": "02:00:00:00:00:99", "state": state});
    let link = json!({"name": "eth0", "up": true, "conflicts": [conflict]});
    Arc::new(
        serde_json::from_value(json!({"metadata": {"name": "worker1"}, "status": {"links": [link]}}))
            .unwrap(),
    )
}

#[test]
fn a_host_that_has_the_only_address_of_a_pool_makes_it_no_mistake() {
    let mut objects =
        ControllerObjects { node_states: vec![heard("Contested")], ..ControllerObjects::default() };
    objects.config.pools = vec![pool(&["10.0.0.1/32"])];
    let view = objects.view(None);
    let [object] = &view.config[..] else { panic!("{:?}", view.config) };
    assert!(object.errors.is_empty(), "{:?}", object.errors);
    assert_eq!(object.withheld.len(), 1);
    assert_eq!(
        (view.pools.iter().count(), view.pools.frozen().count()),
        (0, 2),
        "it gives nothing, and who has it keeps it"
    );
}

#[test]
fn what_a_host_has_is_withheld_and_what_it_had_is_given_last() {
    for (state, expected) in [
        ("Occupied", "10.0.0.2-10.0.0.3"),
        ("Contested", "10.0.0.2-10.0.0.3"),
        ("Avoided", "10.0.0.2-10.0.0.3 10.0.0.1-10.0.0.1"),
        ("Released", "10.0.0.2-10.0.0.3 10.0.0.1-10.0.0.1"),
    ] {
        let mut objects =
            ControllerObjects { node_states: vec![heard(state)], ..ControllerObjects::default() };
        objects.config.pools = vec![pool(&["10.0.0.1-10.0.0.3"])];
        let view = objects.view(None);
        let ranges = view.pools.iter().flat_map(|pool| &pool.ranges).map(ToString::to_string);
        assert_eq!(ranges.collect::<Vec<_>>().join(" "), expected, "{state}");
    }
}

#[test]
fn a_configuration_object_is_known_by_the_version_that_was_read() {
    let mut object = IpAddressPool::new(
        "lb-pool",
        IpAddressPoolSpec {
            addresses: vec!["10.0.0.0/24".into()],
            auto_assign: true,
            avoid_buggy_ips: false,
            service_allocation: None,
        },
    );
    object.metadata.resource_version = Some("7".into());
    let mut objects = ControllerObjects::default();
    objects.config.pools = vec![Arc::new(DeserializeGuard(Ok(object)))];
    let view = objects.view(None);
    assert_eq!(view.config[0].reference.resource_version.as_deref(), Some("7"));
}

#[test]
fn an_advertisement_that_means_nothing_any_more_stays_what_it_was() {
    let named = |name: &str| ObjectName::new("metallb-system", name);
    let advertisement = |name: &str, zones: &[&str]| -> L2Advertisement {
        let selectors: Vec<_> = zones.iter().map(|zone| json!({"matchLabels": {"zone": zone}})).collect();
        let metadata = json!({"namespace": "metallb-system", "name": name});
        serde_json::from_value(json!({"metadata": metadata, "spec": {"nodeSelectors": selectors}})).unwrap()
    };
    let good = advertisement("lb", &["a"]);
    let known = advertisements((&[good], &[]), &[], &plan::Advertisements::default());
    assert_eq!(known.l2.keys().collect::<Vec<_>>(), [&named("lb")]);

    let bad = advertisement("lb", &["b", "b"]);
    assert_eq!(advertisements((std::slice::from_ref(&bad), &[]), &[], &known), known);
    let unreadable = ObjectError::at(&bad, "Unreadable", String::new());
    assert_eq!(advertisements((&[], &[unreadable]), &[], &known), known);

    let other = advertisements((&[bad, advertisement("other", &["c"])], &[]), &[], &Default::default());
    assert_eq!(other.l2.keys().collect::<Vec<_>>(), [&named("other")], "it has never been valid");
    let none = plan::Advertisements::default();
    assert_eq!(advertisements((&[], &[]), &[], &known), none, "it is deleted");
}

/// An object of BGP in the namespace of [`pool`].
fn of_bgp<K>(name: &str, spec: &serde_json::Value) -> Guarded<K>
where
    K: Resource<DynamicType = ()> + serde::de::DeserializeOwned,
{
    Arc::new(serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec})).unwrap())
}

#[test]
fn objects_of_bgp_are_judged_like_the_others_and_advertise_pools() {
    let peer = json!({"myASN": 64512, "peerASN": 64513, "peerAddress": "10.0.0.1", "bfdProfile": "fast"});
    let mut objects = ControllerObjects {
        peers: vec![of_bgp("tor", &peer), of_bgp("shapeless", &json!({"myASN": "many"}))],
        profiles: vec![of_bgp("slow", &json!({"receiveInterval": 61_000}))],
        ..ControllerObjects::default()
    };
    objects.config.pools = vec![pool(&["192.0.2.0/28"])];
    objects.config.bgp_advertisements = vec![
        of_bgp("all", &json!({})),
        of_bgp("named", &json!({"communities": ["nobody-defines-this"], "ipAddressPools": ["none"]})),
    ];
    let view = objects.view(None);
    let names: Vec<&str> = view.advertisements.bgp.keys().map(|name| name.name.as_str()).collect();
    assert_eq!(names, ["all"]);
    let judged = |name: &str| {
        let of_name = |object: &&ConfigObject| object.reference.name.as_deref() == Some(name);
        let object = view.config.iter().find(of_name).expect("it is judged");
        let kind = object.reference.kind.as_deref().unwrap_or_default();
        let reasons: Vec<&str> = object.errors.iter().map(|error| error.reason).collect();
        (kind, reasons.join(" "), object.unknown_pools.len())
    };
    for (name, kind, reasons, unknown_pools) in [
        ("all", "BGPAdvertisement", "", 0),
        ("named", "BGPAdvertisement", "UnknownReference", 1),
        ("tor", "BGPPeer", "UnknownReference", 0),
        ("shapeless", "BGPPeer", "Unreadable", 0),
        ("slow", "BFDProfile", "InvalidSpec", 0),
    ] {
        assert_eq!(judged(name), (kind, reasons.to_owned(), unknown_pools), "{name}");
    }
    assert_eq!(view.config.iter().filter(|object| object.pool.is_none()).count(), 5, "each once");
}

#[test]
fn how_sessions_are_is_known_by_peer_and_node() {
    let session = |node: &str, state: &str| -> Arc<BgpSession> {
        let status = json!({"node": node, "peer": "tor", "peerNamespace": "metallb-system", "state": state});
        Arc::new(serde_json::from_value(json!({"metadata": {"name": node}, "status": status})).unwrap())
    };
    let unwritten = Arc::new(serde_json::from_value(json!({"metadata": {"name": "new"}})).unwrap());
    // Of a peer that has connected from a range, which says nothing of the object.
    let mut called = BgpSession::clone(&session("b", "Idle"));
    called.status.as_mut().unwrap().caller = Some("192.0.2.7".to_owned());
    let sessions = vec![session("a", "Established"), session("b", "Active"), called.into(), unwritten];
    let view = ControllerObjects { sessions, ..ControllerObjects::default() }.view(None);
    let [(peer, nodes)] = &view.sessions.iter().collect::<Vec<_>>()[..] else {
        panic!("{:?}", view.sessions)
    };
    assert_eq!(peer.to_string(), "metallb-system/tor");
    let states: Vec<_> = nodes.values().map(|session| session.state.as_deref()).collect();
    assert_eq!(states, [Some("Established"), Some("Active")]);
}
