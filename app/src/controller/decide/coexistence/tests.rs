use super::super::tests::{change, service, told, view};
use super::*;
use ferrolb_vocab::ObjectName;

fn metallb() -> MetalLbPods {
    let name = |name: &str| ObjectName::new("metallb-system", name);
    MetalLbPods {
        controllers: [name("controller-a")].into(),
        speakers: [name("speaker-b"), name("speaker-c"), name("speaker-d")].into(),
    }
}

#[test]
fn beside_metallb_no_service_is_judged_and_the_pool_says_why() {
    let mut decider = Decider::default();
    let mut beside = view(&["web"]);
    beside.metallb = metallb();
    let decisions = decider.decide(&beside);
    assert!(decisions.services.is_empty() && told(&decisions).is_empty());
    assert_eq!(decisions.refused, [("MetalLBRuns", 1)].into());
    let [accepted, ready] = &decisions.config[0].conditions[..] else { panic!("{decisions:?}") };
    assert!(accepted.holds, "the pool itself is good");
    assert_eq!((ready.holds, ready.reason), (false, "MetalLBRuns"));
    assert_eq!(
        ready.message,
        "MetalLB's own Pods run and handle the same Services (metallb-system/controller-a, metallb-system/speaker-b, \
         metallb-system/speaker-c and 1 more), so FerroLB gives and announces no address; it begins by itself when \
         they are gone."
    );
    assert_eq!(decisions.usage[&"lb-pool".into()].assigned_v4, 0);
    let alone = decider.decide(&view(&["web"]));
    assert_eq!(told(&alone), ["web IPAllocated Assigned IP [\"10.0.0.1\"]"]);
}

#[test]
fn what_metallb_gave_meanwhile_is_taken_over() {
    let mut decider = Decider::default();
    let given = |address: &str| {
        let mut view = view(&["web", "other"]);
        let status = serde_json::json!({"loadBalancer": {"ingress": [{"ip": address}]}});
        change(&mut view, "web", |web| web.status = serde_json::from_value(status).unwrap());
        view
    };
    decider.decide(&view(&["web", "other"]));
    let mut beside = given("10.0.0.1");
    beside.metallb = metallb();
    let decisions = decider.decide(&beside);
    assert_eq!(decisions.usage[&"lb-pool".into()].assigned_v4, 1, "what is held is counted");
    let decisions = decider.decide(&given("10.0.0.1"));
    let addresses: Vec<_> = decisions.services.iter().map(|(_, status)| status.addresses.clone()).collect();
    assert_eq!(addresses, [["10.0.0.2".parse::<std::net::IpAddr>().unwrap()], ["10.0.0.1".parse().unwrap()]]);
    assert_eq!(told(&decisions), ["other IPAllocated Assigned IP [\"10.0.0.2\"]"]);
}

#[test]
fn counters_that_metallb_wrote_are_left_as_they_are() {
    let mut beside = view(&["web"]);
    beside.metallb = metallb();
    let counted =
        IpAddressPoolStatus { assigned_ipv4: 7, available_ipv4: 4, ..IpAddressPoolStatus::default() };
    beside.config[0].usage = Some(counted.clone());
    assert_eq!(Decider::default().decide(&beside).config[0].usage, Some(counted));
}

#[test]
fn services_that_nobody_has_a_pool_for_are_left_alone() {
    let mut view = view(&[]);
    view.unclaimed = [service("web").0].into();
    assert!(Decider::default().decide(&view).services.is_empty());
}
