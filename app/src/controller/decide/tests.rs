use super::*;
use ferrolb_cluster::parse::ObjectError;
use ferrolb_ipam::{Pool, PoolSet};
use k8s_openapi::api::core::v1::{Service, ServiceSpec, ServiceStatus as KubeStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{self as meta, ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

pub(super) fn service(name: &str) -> (ServiceKey, Arc<SeenService>) {
    let seen = SeenService::of(&object(name));
    (seen.key.clone(), Arc::new(seen))
}

/// The Service of [`service`] becomes what `edit` makes of it.
pub(super) fn change(view: &mut ControllerView, name: &str, edit: impl FnOnce(&mut Service)) {
    let mut object = object(name);
    edit(&mut object);
    view.services.insert(ServiceKey::new("default", name), Arc::new(SeenService::of(&object)));
}

fn object(name: &str) -> Service {
    Service {
        metadata: ObjectMeta {
            namespace: Some("default".into()),
            name: Some(name.into()),
            uid: Some(name.into()),
            ..ObjectMeta::default()
        },
        spec: Some(ServiceSpec { cluster_ips: Some(vec!["10.233.0.9".into()]), ..ServiceSpec::default() }),
        status: Some(KubeStatus::default()),
    }
}

fn pool_object(errors: Vec<ObjectError>) -> ConfigObject {
    ConfigObject {
        reference: ObjectReference {
            uid: Some("pool-uid".into()),
            resource_version: Some("7".into()),
            name: Some("lb-pool".into()),
            ..ObjectReference::default()
        },
        generation: Some(1),
        conditions: Vec::new(),
        usage: None,
        pool: Some("lb-pool".into()),
        errors,
        unknown_pools: Vec::new(),
        withheld: Vec::new(),
    }
}

/// One pool with two addresses, and these Services.
pub(super) fn view(services: &[&str]) -> ControllerView {
    let range = "10.0.0.1-10.0.0.2".parse().unwrap();
    let (pools, _) = PoolSet::new([Pool::new("lb-pool", [range])]);
    let announced = ferrolb_plan::Pool {
        namespace: "metallb-system".into(),
        labels: ferrolb_vocab::Labels::default(),
        ranges: vec![range],
    };
    ControllerView {
        services: services.iter().map(|name| service(name)).collect(),
        pools,
        announced_pools: [("lb-pool".into(), announced)].into(),
        config: vec![pool_object(Vec::new())],
        ..ControllerView::default()
    }
}

pub(super) fn told(decisions: &Decisions) -> Vec<String> {
    let text = |(object, notice): &(ObjectReference, Notice)| {
        let name = object.name.as_deref().unwrap_or_default();
        format!("{name} {} {}", notice.reason.as_str(), notice.message)
    };
    decisions.notices.iter().map(text).collect()
}

#[test]
fn an_allocation_is_told_once_and_written_with_its_pool() {
    let mut decider = Decider::default();
    let first = decider.decide(&view(&["web"]));
    assert_eq!(told(&first), ["web IPAllocated Assigned IP [\"10.0.0.1\"]"]);
    let (_, status) = &first.services[0];
    assert_eq!(status.pool, Some("lb-pool".into()));
    let condition = &status.conditions[0];
    assert!(condition.holds);
    assert_eq!(condition.message, "The Service has [\"10.0.0.1\"] from pool lb-pool.");
    assert!(told(&decider.decide(&view(&["web"]))).is_empty());
}

#[test]
fn a_refusal_is_told_once_with_its_reason_first_and_again_after_an_allocation() {
    let mut decider = Decider::default();
    decider.decide(&view(&["a", "b"]));
    let full = decider.decide(&view(&["a", "b", "c"]));
    let [text] = &told(&full)[..] else { panic!("{:?}", told(&full)) };
    assert!(
        text.starts_with(
            "c AllocationFailed PoolExhausted: Failed to allocate IP for \"default/c\": no available IPs"
        ),
        "{text}"
    );
    assert_eq!(full.refused, [("PoolExhausted", 1)].into());
    assert!(told(&decider.decide(&view(&["a", "b", "c"]))).is_empty(), "not twice in a row");
    assert_eq!(told(&decider.decide(&view(&["a", "c"]))), ["c IPAllocated Assigned IP [\"10.0.0.2\"]"]);
}

#[test]
fn a_service_that_says_it_has_something_of_ours_is_cleared_and_another_is_not() {
    let (_, untouched) = service("node-port");
    let mut recorded = object("was-balanced");
    recorded.annotations_mut().insert("metallb.io/ip-allocated-from-pool".into(), "lb-pool".into());
    let mut view = view(&[]);
    view.others = vec![untouched, Arc::new(SeenService::of(&recorded))];
    let decisions = Decider::default().decide(&view);
    let cleared: Vec<_> = decisions.services.iter().map(|(service, _)| &*service.key.name).collect();
    assert_eq!(cleared, ["was-balanced"]);
    assert_eq!(decisions.services[0].1, ServiceStatus::default());
}

#[test]
fn a_pool_is_told_whether_it_is_accepted_and_whether_it_is_announced() {
    let write = &Decider::default().decide(&view(&[])).config[0];
    let [accepted, ready] = &write.conditions[..] else { panic!("{write:?}") };
    assert!(accepted.holds);
    assert_eq!((ready.holds, ready.reason), (false, "OutsideNodeSubnets"), "there is no node");
    assert_eq!(write.usage.as_ref().unwrap().available_ipv4, 2);

    let mut bad = view(&[]);
    let message = "spec.addresses[0]: ten is not an address".to_owned();
    let error = ObjectError { object: Box::default(), reason: "InvalidSpec", message: message.clone() };
    bad.config = vec![pool_object(vec![error])];
    let write = &Decider::default().decide(&bad).config[0];
    let [accepted, ready] = &write.conditions[..] else { panic!("{write:?}") };
    assert_eq!((accepted.holds, accepted.reason, &accepted.message), (false, "InvalidSpec", &message));
    assert_eq!((ready.holds, ready.reason), (false, "NotAccepted"));
}

#[test]
fn an_object_that_is_not_in_use_as_written_is_told_of_once_and_not_again_by_the_next_leader() {
    let mut decider = Decider::default();
    assert!(told(&decider.decide(&view(&[]))).is_empty());
    let message = "spec.addresses[0]: ten is not an address".to_owned();
    let error = ObjectError { object: Box::default(), reason: "InvalidSpec", message: message.clone() };
    let mut bad = view(&[]);
    bad.config = vec![pool_object(vec![error.clone()])];
    let expected = [format!("lb-pool ConfigurationError InvalidSpec: {message}")];
    assert_eq!(told(&decider.decide(&bad)), expected);
    assert!(told(&decider.decide(&bad)).is_empty(), "not twice");
    let mut seen = view(&[]);
    seen.config = vec![ConfigObject {
        conditions: vec![meta::Condition {
            type_: ACCEPTED.into(),
            status: "False".into(),
            reason: "InvalidSpec".into(),
            message,
            observed_generation: Some(1),
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
        }],
        ..pool_object(vec![error])
    }];
    assert!(told(&Decider::default().decide(&seen)).is_empty(), "the object says so already");
    decider.decide(&view(&[]));
    assert_eq!(told(&decider.decide(&bad)), expected, "it was right in between");
}

#[test]
fn what_old_crds_prune_is_not_written_over_and_over() {
    let mut decider = Decider::default();
    let decisions = decider.decide(&view(&[]));
    decider.config_written(&decisions.config[0], Some("7".into()));
    assert!(decider.decide(&view(&[])).config.is_empty(), "nothing changed since our write");
    assert_eq!(decider.decide(&view(&["web"])).config.len(), 1, "the counters changed");
    let mut edited = view(&[]);
    edited.config[0].reference.resource_version = Some("8".into());
    assert_eq!(decider.decide(&edited).config.len(), 1, "somebody changed the object");
}

#[test]
fn an_unreadable_wish_of_a_service_that_has_an_address_is_told_and_takes_nothing() {
    let mut decider = Decider::default();
    decider.decide(&view(&["web"]));
    let mut asking = view(&["web"]);
    change(&mut asking, "web", |web| {
        web.annotations_mut().insert("metallb.io/loadBalancerIPs".into(), "ten".into());
    });
    let decisions = decider.decide(&asking);
    let [text] = &told(&decisions)[..] else { panic!("{:?}", told(&decisions)) };
    assert!(text.starts_with("web LoadBalancerFailed RequestUnreadable: "), "{text}");
    assert_eq!(decisions.services[0].1.addresses.len(), 1);
    assert_eq!((decisions.refused.len(), decisions.lacking), (0, [("RequestUnreadable", 1)].into()));
    assert!(told(&decider.decide(&asking)).is_empty());
}

#[test]
fn a_second_address_that_is_missing_is_told_once_in_metallbs_words() {
    let mut view = view(&["web"]);
    change(&mut view, "web", |dual| {
        let spec = dual.spec.as_mut().unwrap();
        spec.ip_family_policy = Some("PreferDualStack".into());
        spec.cluster_ips = Some(vec!["10.233.0.9".into(), "fd00::9".into()]);
    });
    let mut decider = Decider::default();
    let told_first = told(&decider.decide(&view));
    let [given, missing] = &told_first[..] else { panic!("{told_first:?}") };
    assert_eq!(given, "web IPAllocated Assigned IP [\"10.0.0.1\"]");
    let start =
        "web AdditionalAssignFailed FamilyNotInPool: cannot assign additional IP in PreferDualStack: ";
    assert!(missing.starts_with(start), "{missing}");
    assert!(told(&decider.decide(&view)).is_empty());
}

#[test]
fn a_deprecated_annotation_is_told_once_for_each_key_and_not_again_by_the_next_leader() {
    let annotate = |web: &mut Service, names: &[&str]| {
        let old_key = |name: &&str| (format!("metallb.universe.tf/{name}"), "lb-pool".to_owned());
        web.annotations_mut().extend(names.iter().map(old_key));
    };
    let deprecated = |decisions: &Decisions| {
        let mut all = told(decisions);
        all.retain(|text| text.contains("deprecatedAnnotation"));
        all
    };
    let mut view = view(&["web"]);
    change(&mut view, "web", |web| annotate(web, &["address-pool", "ip-allocated-from-pool"]));
    let mut decider = Decider::default();
    let text = "web deprecatedAnnotation Service uses deprecated annotation metallb.universe.tf/";
    assert_eq!(deprecated(&decider.decide(&view)), [format!("{text}address-pool")]);
    assert!(deprecated(&decider.decide(&view)).is_empty());
    let all = ["address-pool", "ip-allocated-from-pool", "allow-shared-ip"];
    change(&mut view, "web", |web| annotate(web, &all));
    assert_eq!(deprecated(&decider.decide(&view)), [format!("{text}allow-shared-ip")]);

    change(&mut view, "web", |web| {
        annotate(web, &all);
        web.status = serde_json::from_value(serde_json::json!({ "conditions": [{
            "type": ADDRESS_ALLOCATED, "status": "True", "reason": "Allocated", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z"
        }] }))
        .unwrap();
    });
    assert!(deprecated(&Decider::default().decide(&view)).is_empty());
}

#[test]
fn the_configuration_is_invalid_as_long_as_a_pool_has_an_error_and_names_every_one() {
    let verdict = |config: Vec<ConfigObject>| {
        let view = ControllerView { config, ..ControllerView::default() };
        Decider::default().decide(&view).configuration
    };
    let object = |kind: &str, name: &str, messages: &[&str]| {
        let error = |message: &&str| ObjectError {
            object: Box::default(),
            reason: "InvalidSpec",
            message: (*message).into(),
        };
        let mut object = pool_object(messages.iter().map(error).collect());
        object.reference.kind = Some(kind.into());
        object.reference.namespace = Some("metallb-system".into());
        object.reference.name = Some(name.into());
        object
    };
    let valid = verdict(vec![
        object("IPAddressPool", "good", &[]),
        object("L2Advertisement", "bad", &["the speakers judge it"]),
    ]);
    assert_eq!((valid.holds, valid.reason), (true, "Reconciled"));
    let invalid = verdict(vec![
        object("IPAddressPool", "a", &["one", "two"]),
        object("IPAddressPool", "good", &[]),
        object("IPAddressPool", "b", &["three"]),
    ]);
    assert_eq!((invalid.holds, invalid.reason), (false, "ConfigurationError"));
    assert_eq!(
        invalid.message,
        "configuration error: IPAddressPool metallb-system/a: one\nIPAddressPool metallb-system/a: two\n\
         IPAddressPool metallb-system/b: three"
    );
    let long = verdict(vec![object("IPAddressPool", "a", &[&"ü".repeat(40_000)])]);
    assert_eq!(long.message.chars().count(), 8192);
}

#[test]
fn addresses_of_another_are_no_request_and_stay_beside_ours() {
    let mut view = view(&["web"]);
    let listing = |web: &mut Service| {
        web.status = serde_json::from_value(serde_json::json!({
            "loadBalancer": { "ingress": [{ "ip": "192.0.2.1" }] }
        }))
        .unwrap();
    };
    change(&mut view, "web", listing);
    let decisions = Decider::default().decide(&view);
    assert_eq!(told(&decisions), ["web IPAllocated Assigned IP [\"10.0.0.1\"]"], "nothing is cleared");
    assert!(decisions.services[0].1.former.is_empty());

    change(&mut view, "web", |web| {
        listing(web);
        web.annotations_mut().insert("metallb.io/ip-allocated-from-pool".into(), "gone".into());
    });
    let decisions = Decider::default().decide(&view);
    let [cleared, given] = &told(&decisions)[..] else { panic!("{:?}", told(&decisions)) };
    assert!(cleared.starts_with("web ClearAssignment AddressNotInPool: "), "{cleared}");
    assert_eq!(given, "web IPAllocated Assigned IP [\"10.0.0.1\"]");
    assert_eq!(decisions.services[0].1.former, ["192.0.2.1".parse::<std::net::IpAddr>().unwrap()]);
}
