use super::*;
use ferrolb_api::ip_address_pool::IpAddressPoolSpec;
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
        let name = |key: &ServiceKey| key.name.clone();
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
