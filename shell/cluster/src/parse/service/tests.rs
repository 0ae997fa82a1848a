use super::*;
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

fn spec(service: &mut Service) -> &mut ServiceSpec {
    service.spec.as_mut().unwrap()
}

#[test]
fn a_class_decides_whose_service_it_is() {
    let classless = service(|_| ());
    let of_class = service(|service| spec(service).load_balancer_class = Some("example.com/lb".into()));
    let foreign = Ownership::ForeignClass("example.com/lb".into());
    assert_eq!(ownership(&classless, None), Ownership::Ours);
    assert_eq!(ownership(&of_class, None), foreign);
    assert_eq!(ownership(&of_class, Some("example.com/lb")), Ownership::Ours);
    assert_eq!(ownership(&classless, Some("example.com/lb")), Ownership::ForeignClass("<none>".into()));
    let node_port = service(|service| spec(service).type_ = Some("NodePort".into()));
    assert_eq!(ownership(&node_port, None), Ownership::NotLoadBalanced);
}

#[test]
fn wishes_are_read_from_annotations_and_spec() {
    let wanted = |service: &Service| request(service).wanted;
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
fn contradictory_and_unreadable_wishes_are_kept_as_such() {
    let mut both = annotated("metallb.io/loadBalancerIPs", "10.0.0.1");
    spec(&mut both).load_balancer_ip = Some("10.0.0.2".into());
    for (service, part) in [
        (both, "service can not have both metallb.io/loadBalancerIPs and svc.Spec.LoadBalancerIP"),
        (annotated("metallb.io/loadBalancerIPs", "10.0.0.1,ten"), "\"ten\" is not an IP address"),
    ] {
        let Wanted::Unreadable { why } = request(&service).wanted else { panic!("was read") };
        assert!(why.contains(part), "{why}");
    }
}

#[test]
fn an_empty_sharing_key_shares_nothing_but_counts_for_the_announcement() {
    let service = annotated("metallb.io/allow-shared-ip", "");
    assert_eq!(request(&service).terms.sharing, None);
    assert!(planned(&service, ServingEndpoints::default()).shares_address);
}

#[test]
fn only_entries_with_an_address_are_recorded() {
    let service = service(|service| {
        service.status = serde_json::from_value(serde_json::json!({
            "loadBalancer": { "ingress": [{ "hostname": "lb.example" }, { "ip": "10.0.0.1" }] }
        }))
        .unwrap();
    });
    assert_eq!(request(&service).recorded, ["10.0.0.1".parse::<IpAddr>().unwrap()]);
}
