use super::*;
use ferrolb_ipam::{Pool, Wanted};
use k8s_openapi::api::core::v1::ServiceSpec;

fn service(change: impl FnOnce(&mut Service)) -> Service {
    let mut service = Service {
        spec: Some(ServiceSpec {
            type_: Some("LoadBalancer".into()),
            cluster_ips: Some(vec!["10.233.0.9".into()]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    };
    change(&mut service);
    service
}

fn annotated(key: &str, value: &str) -> Service {
    service(|service| {
        service.annotations_mut().insert(key.into(), value.into());
    })
}

fn asked(service: &Service, pools: &PoolSet) -> ServiceRequest {
    ServiceRequest::clone(&SeenService::of(service).request(pools))
}

fn planned(service: &Service) -> plan::Service {
    SeenService::of(service).planned(ServingEndpoints::default())
}

fn spec(service: &mut Service) -> &mut ServiceSpec {
    service.spec.as_mut().unwrap()
}

#[test]
fn a_class_decides_whose_service_it_is() {
    let classless = service(|_| ());
    let of_class = service(|service| spec(service).load_balancer_class = Some("example.com/lb".into()));
    let foreign = Ownership::ForeignClass("example.com/lb".into());
    let ownership = |service: &Service, class| SeenService::of(service).ownership(class);
    assert_eq!(ownership(&classless, None), Ownership::Ours);
    assert_eq!(ownership(&of_class, None), foreign);
    assert_eq!(ownership(&of_class, Some("example.com/lb")), Ownership::Ours);
    assert_eq!(ownership(&classless, Some("example.com/lb")), Ownership::ForeignClass("<none>".into()));
    let node_port = service(|service| spec(service).type_ = Some("NodePort".into()));
    assert_eq!(ownership(&node_port, None), Ownership::NotLoadBalanced);
}

#[test]
fn wishes_are_read_from_annotations_and_spec() {
    let wanted = |service: &Service| asked(service, &PoolSet::default()).wanted;
    assert_eq!(wanted(&service(|_| ())), Wanted::Any);
    assert_eq!(wanted(&annotated("metallb.io/address-pool", "gold")), Wanted::Pool("gold".into()));
    assert_eq!(wanted(&annotated("metallb.universe.tf/address-pool", "gold")), Wanted::Pool("gold".into()));
    let addresses = |list: &[&str]| Wanted::Addresses {
        addresses: list.iter().map(|address| address.parse().unwrap()).collect(),
        pool: None,
    };
    assert_eq!(
        wanted(&annotated("metallb.io/loadBalancerIPs", "10.0.0.1, fd00::1")),
        addresses(&["10.0.0.1", "fd00::1"])
    );
    let in_spec = service(|service| spec(service).load_balancer_ip = Some("10.0.0.1".into()));
    assert_eq!(wanted(&in_spec), addresses(&["10.0.0.1"]));
}

#[test]
fn claims_are_named_once_each_and_not_beside_addresses() {
    let claims = annotated("ferrolb.io/address-claim", "four, six,four");
    let wanted = |service: &Service| asked(service, &PoolSet::default()).wanted;
    assert_eq!(wanted(&claims), Wanted::Claims(vec!["four".into(), "six".into()]));
    assert_eq!(wanted(&annotated("ferrolb.io/address-claim", " ")), Wanted::Any);
    let in_spec = |service: &mut Service| spec(service).load_balancer_ip = Some("10.0.0.1".into());
    let of_pool = |service: &mut Service| {
        service.annotations_mut().insert("metallb.io/address-pool".into(), "gold".into());
    };
    let changes: [fn(&mut Service); 2] = [in_spec, of_pool];
    for change in changes {
        let mut both = claims.clone();
        change(&mut both);
        let Wanted::Unreadable { why } = wanted(&both) else { panic!("{:?}", wanted(&both)) };
        assert!(why.ends_with("ask by claim or by address, not both"), "{why}");
    }
}

#[test]
fn contradictory_and_unreadable_wishes_are_kept_as_such() {
    let mut both = annotated("metallb.io/loadBalancerIPs", "10.0.0.1");
    spec(&mut both).load_balancer_ip = Some("10.0.0.2".into());
    for (service, part) in [
        (both, "service can not have both metallb.io/loadBalancerIPs and svc.Spec.LoadBalancerIP"),
        (annotated("metallb.io/loadBalancerIPs", "10.0.0.1,ten"), "\"ten\" is not an IP address"),
    ] {
        let Wanted::Unreadable { why } = asked(&service, &PoolSet::default()).wanted else {
            panic!("was read")
        };
        assert!(why.contains(part), "{why}");
    }
}

#[test]
fn an_empty_sharing_key_shares_nothing_for_either_process() {
    let service = annotated("metallb.io/allow-shared-ip", "");
    assert_eq!(asked(&service, &PoolSet::default()).terms.sharing, None);
    assert!(!planned(&service).shares_address);
    let service = annotated("metallb.io/allow-shared-ip", "key");
    assert!(planned(&service).shares_address);
}

fn addresses(list: &[&str]) -> Vec<IpAddr> {
    list.iter().map(|address| address.parse().unwrap()).collect()
}

/// A Service whose status lists `ingress`, which was judged by us or not, with these annotations.
fn listing(ingress: &[&str], judged: bool, annotations: &[(&str, &str)]) -> Service {
    let entries: Vec<_> = ingress.iter().map(|ip| serde_json::json!({ "ip": ip })).collect();
    let condition = serde_json::json!({
        "type": ADDRESS_ALLOCATED, "status": "True", "reason": "Allocated", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z"
    });
    service(|service| {
        service.status = serde_json::from_value(serde_json::json!({
            "loadBalancer": { "ingress": entries },
            "conditions": if judged { vec![condition] } else { Vec::new() }
        }))
        .unwrap();
        for (key, value) in annotations {
            service.annotations_mut().insert((*key).into(), (*value).into());
        }
    })
}

#[test]
fn ours_is_what_was_recorded_or_what_metallb_gave_or_what_lies_in_a_pool() {
    let pool = |name: &str, range: &str| Pool::new(name, [range.parse().unwrap()]);
    let (mut pools, _) = PoolSet::new([pool("lb-pool", "10.0.0.0/24")]);
    pools.freeze(pool("frozen", "10.1.0.0/24"));
    let record = ("ferrolb.io/allocated-addresses", "10.0.0.1,fd00::1");
    let empty = ("ferrolb.io/allocated-addresses", "");
    let by_metallb = ("metallb.io/ip-allocated-from-pool", "lb-pool");
    let by_old_metallb = ("metallb.universe.tf/ip-allocated-from-pool", "lb-pool");
    let (inside, outside) = ("10.0.0.1", "192.0.2.1");
    for (ingress, judged, annotations, expected, why) in [
        (vec![outside, inside], true, vec![record, by_metallb], vec![inside], "recorded"),
        (vec!["FD00::1"], true, vec![record], vec!["fd00::1"], "recorded, spelled otherwise, in no pool"),
        (vec![outside, inside], false, vec![record], vec![inside], "a copied annotation is no record"),
        (
            vec![outside, "fd00::1"],
            false,
            vec![by_metallb],
            vec![outside, "fd00::1"],
            "taken over from MetalLB",
        ),
        (vec![outside], false, vec![by_old_metallb], vec![outside], "taken over from an old MetalLB"),
        (
            vec![outside, "10.0.0.9"],
            true,
            vec![record, by_metallb],
            vec!["10.0.0.9"],
            "the record is outdated",
        ),
        (vec![outside, inside], true, vec![empty], vec![inside], "the record is empty"),
        (
            vec![outside, inside, "10.1.0.7"],
            false,
            vec![],
            vec![inside, "10.1.0.7"],
            "in a pool, also a frozen one",
        ),
        (vec![outside], false, vec![], vec![], "another's"),
        (vec![outside], true, vec![], vec![], "another's, while we have given nothing"),
    ] {
        let service = listing(&ingress, judged, &annotations);
        assert_eq!(asked(&service, &pools).recorded, addresses(&expected), "{why}");
        assert_eq!(SeenService::of(&service).allocated_addresses(&pools), addresses(&expected), "{why}");
    }
}

#[test]
fn an_entry_of_another_is_not_announced_beside_ours() {
    let record = ("ferrolb.io/allocated-addresses", "10.0.0.1");
    let planned = |service: &Service| planned(service).addresses;
    assert_eq!(planned(&listing(&["192.0.2.1", "10.0.0.1"], true, &[record])), addresses(&["10.0.0.1"]));
    let all = ["192.0.2.1", "10.0.0.1"];
    assert_eq!(planned(&listing(&all, false, &[])), addresses(&all), "without a record all count");
    let others = ["192.0.2.1", "10.0.0.9"];
    assert_eq!(planned(&listing(&others, true, &[record])), addresses(&others), "the record is outdated");
}

#[test]
fn an_entry_without_an_address_does_not_count() {
    let service = service(|service| {
        service.status = serde_json::from_value(serde_json::json!({
            "loadBalancer": { "ingress": [{ "hostname": "lb.example" }, { "ip": "10.0.0.1" }] }
        }))
        .unwrap();
    });
    assert_eq!(planned(&service).addresses, addresses(&["10.0.0.1"]));
}
