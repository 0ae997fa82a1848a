//! What Services have to do with each other: nothing but prefixes.

use super::*;
use ferrolb_vocab::{Community, IpPrefix};
use proptest::prelude::*;

const APPS: [&str; 3] = ["web", "shop", "mail"];
const PEERS: [&str; 2] = ["tor-a", "tor-b"];

fn services() -> impl Strategy<Value = Vec<Service>> {
    let service = (0_u8..=255, 0..APPS.len(), any::<bool>(), 1_u32..4, any::<bool>());
    let parse = |(last, app, is_local, ready, is_here): (u8, usize, bool, u32, bool)| Service {
        addresses: vec![IpAddr::from([198, 51, 100, last])],
        labels: [("app", APPS[app])].into(),
        traffic_policy: if is_local { TrafficPolicy::Local } else { TrafficPolicy::Cluster },
        endpoints: ServingEndpoints {
            any: true,
            nodes: is_here.then(|| (NodeName::from("a"), ready)).into_iter().collect(),
        },
        ..Service::default()
    };
    proptest::collection::vec(service.prop_map(parse), 0..12)
}

fn advertisements() -> impl Strategy<Value = Vec<BgpAdvertisement>> {
    let length = prop_oneof![Just(32), Just(28), Just(24)];
    let drawn = (length, proptest::option::of(0..APPS.len()), proptest::option::of(0..PEERS.len()), 0_u32..4);
    let parse = |(length, app, peer, community): (u8, Option<usize>, Option<usize>, u32)| {
        advertisement(|one| {
            one.aggregation_length = if app.is_some() { 32 } else { length };
            one.service_selectors = app.map(|app| selects("app", APPS[app])).unwrap_or_default();
            one.peers = peer.map(|peer| PEERS[peer].into()).into_iter().collect();
            one.communities = [Community(community)].into();
            one.local_pref = (community > 1).then_some(community);
        })
    };
    proptest::collection::vec(drawn.prop_map(parse), 0..5)
}

fn routes(snapshot: &Snapshot, peer: &str) -> BTreeMap<IpPrefix, Route> {
    let plan = plan(snapshot);
    plan.sessions[&named(peer)].routes.iter().map(|(prefix, route)| (*prefix, Route::clone(route))).collect()
}

proptest! {
    #[test]
    fn a_peer_is_told_of_all_services_what_it_would_be_told_of_each(
        services in services(),
        advertisements in advertisements(),
    ) {
        let mut snapshot = cluster("a");
        let names = ["a", "b", "c", "d", "e"];
        snapshot.advertisements.bgp = names.into_iter().map(named).zip(advertisements).collect();
        let key = |index: usize| service_key(&format!("{index:02}"));
        snapshot.services = services.iter().cloned().enumerate().map(|(index, one)| (key(index), one.into())).collect();
        for peer in PEERS {
            let mut together: BTreeMap<IpPrefix, Route> = BTreeMap::new();
            for (key, service) in &snapshot.services {
                let alone = Snapshot { services: [(key.clone(), Arc::clone(service))].into(), ..snapshot.clone() };
                for (prefix, route) in routes(&alone, peer) {
                    let first = || Route { local_pref: None, ..route.clone() };
                    let merge = |known: &mut Route| {
                        known.communities.extend(&route.communities);
                        let both = known.local_endpoints.zip(route.local_endpoints);
                        known.local_endpoints = both.and_then(|(one, other)| one.checked_add(other.get()));
                    };
                    together.entry(prefix).and_modify(merge).or_insert_with(first);
                }
            }
            let told = routes(&snapshot, peer);
            let without_preference = |(prefix, route): (&IpPrefix, &Route)| {
                (*prefix, Route { local_pref: None, ..route.clone() })
            };
            let found: BTreeMap<IpPrefix, Route> = told.iter().map(without_preference).collect();
            prop_assert_eq!(found, together);
        }
        for (key, verdict) in plan(&snapshot).verdicts {
            let Verdict::Advertise { peers } = verdict else { continue };
            let address = snapshot.services[&key].addresses[0];
            for peer in PEERS {
                let has_one = routes(&snapshot, peer).keys().any(|prefix| prefix.contains(address));
                // An aggregate of another advertisement may hold the address by chance.
                prop_assert!(has_one || !peers.contains(&named(peer)), "{key} {peer}");
            }
        }
    }
}
