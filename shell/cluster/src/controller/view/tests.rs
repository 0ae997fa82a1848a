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
