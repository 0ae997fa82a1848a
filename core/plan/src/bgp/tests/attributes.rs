//! What is told of a prefix, and how often it is kept.

use super::*;

#[test]
fn attributes_of_an_advertisement_go_with_its_prefixes() {
    // acceptance 70
    let mut snapshot = cluster("a");
    let attributes = advertisement(|one| {
        one.local_pref = Some(300);
        one.communities = ["64512:7", "64512:3"].map(|text| text.parse().unwrap()).into();
        one.large_communities = ["64512:2:1".parse().unwrap()].into();
    });
    advertise(&mut snapshot, &[("all", &attributes)]);
    assert_eq!(told(&snapshot, "tor-a"), ["198.51.100.10/32 preferred 300 64512:3 64512:7 64512:2:1"]);
}

#[test]
fn communities_of_all_advertisements_of_a_prefix_are_united() {
    // acceptance 71, 98
    let mut snapshot = cluster("a");
    snapshot.services.insert(service_key("plain"), service(&["198.51.100.11"]).into());
    web(&mut snapshot).labels = [("app", "web")].into();
    let community = |text: &str| BTreeSet::from([text.parse().unwrap()]);
    let shared = advertisement(|one| one.communities = community("1:1"));
    let selected = advertisement(|one| {
        one.communities = community("2:2");
        one.service_selectors = selects("app", "web");
    });
    advertise(&mut snapshot, &[("shared", &shared), ("selected", &selected)]);
    assert_eq!(told(&snapshot, "tor-a"), ["198.51.100.10/32 1:1 2:2", "198.51.100.11/32 1:1"]);
}

#[test]
fn routes_that_say_the_same_are_one_value_and_peers_that_are_told_the_same_share_a_table() {
    let mut snapshot = cluster("a");
    snapshot.services.insert(service_key("other"), service(&["198.51.100.11"]).into());
    snapshot.peering.peers.insert(named("tor-c"), peer("2001:db8::1"));
    let plan = plan(&snapshot);
    let routes = |name: &str| &plan.sessions[&named(name)].routes;
    assert!(Arc::ptr_eq(routes("tor-a"), routes("tor-b")));
    assert!(routes("tor-c").is_empty(), "of another family");
    let values: Vec<&Arc<Route>> = routes("tor-a").values().collect();
    assert!(values.len() == 2 && Arc::ptr_eq(values[0], values[1]));
    let peers: Vec<_> = plan.verdicts.values().collect();
    let [Verdict::Advertise { peers: one }, Verdict::Advertise { peers: other }] = peers[..] else {
        panic!("{peers:?}");
    };
    assert!(Arc::ptr_eq(one, other));
}

#[test]
fn a_prefix_with_two_preferences_of_different_services_has_that_of_the_first_advertisement() {
    let mut snapshot = cluster("a");
    web(&mut snapshot).labels = [("app", "web")].into();
    let mut other = service(&["198.51.100.10"]);
    other.labels = [("app", "other")].into();
    snapshot.services.insert(service_key("other"), other.into());
    let preferred = |app: &str, preference| {
        advertisement(|one| {
            one.local_pref = preference;
            one.service_selectors = selects("app", app);
        })
    };
    let (one, two) = (preferred("other", Some(50)), preferred("web", Some(90)));
    advertise(&mut snapshot, &[("b", &one), ("c", &two), ("a", &preferred("web", Some(90)))]);
    assert_eq!(told(&snapshot, "tor-a"), ["198.51.100.10/32 preferred 90"]);
    advertise(&mut snapshot, &[("b", &one), ("c", &two)]);
    assert_eq!(told(&snapshot, "tor-a"), ["198.51.100.10/32 preferred 50"]);
}

#[test]
fn a_thousand_services_cost_a_table_no_more_than_its_prefixes() {
    let mut snapshot = cluster("a");
    snapshot.pools.insert("lb-pool".into(), pool(&["10.0.0.0/8"]));
    snapshot.services = (0..1_000_u32)
        .map(|number| {
            let address = IpAddr::from(core::net::Ipv4Addr::from(0x0a00_0000 + number));
            let one = Service { addresses: vec![address], ..service(&[]) };
            (service_key(&format!("service-{number:04}")), one.into())
        })
        .collect();
    let plan = plan(&snapshot);
    let routes = &plan.sessions[&named("tor-a")].routes;
    assert_eq!(routes.len(), 1_000);
    let distinct: BTreeMap<*const Route, ()> = routes.values().map(|one| (Arc::as_ptr(one), ())).collect();
    assert_eq!(distinct.len(), 1);
}
