use super::*;
use kube::ResourceExt;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn service(status: serde_json::Value) -> Service {
    let json = serde_json::json!({ "metadata": { "name": "web", "namespace": "default" }, "status": status });
    serde_json::from_value(json).unwrap()
}

/// `service` after what is written to it; `None` when nothing is.
fn updated(service: &Service, status: &ServiceStatus, now: Timestamp) -> Option<Service> {
    let seen = SeenService::of(service);
    if is_said(&seen, status) {
        return None;
    }
    let mut object = serde_json::to_value(service).unwrap();
    merge(&mut object, &patch(&seen, status, now));
    Some(serde_json::from_value(object).unwrap())
}

/// What an API server does with a merge patch (RFC 7396 §2).
fn merge(target: &mut serde_json::Value, patch: &serde_json::Value) {
    let Some(fields) = patch.as_object() else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = serde_json::json!({});
    }
    let target = target.as_object_mut().unwrap();
    for (key, value) in fields {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key).or_insert(serde_json::Value::Null), value);
        }
    }
}

fn addresses(list: &[&str]) -> Vec<IpAddr> {
    list.iter().map(|address| address.parse().unwrap()).collect()
}

fn allocated(list: &[&str]) -> ServiceStatus {
    ServiceStatus {
        addresses: addresses(list),
        former: Vec::new(),
        pool: Some("lb-pool".into()),
        conditions: vec![Condition {
            type_: ADDRESS_ALLOCATED,
            holds: true,
            reason: "Allocated",
            message: "Allocated from pool lb-pool.".into(),
        }],
    }
}

fn ips(service: &Service) -> Vec<Option<&str>> {
    let balancer = service.status.as_ref().unwrap().load_balancer.as_ref().unwrap();
    balancer.ingress.as_ref().unwrap().iter().map(|entry| entry.ip.as_deref()).collect()
}

#[test]
fn a_service_that_says_so_already_is_not_written() {
    let wanted = allocated(&["10.0.0.1"]);
    let first = updated(&service(serde_json::json!({})), &wanted, at(0)).unwrap();
    assert_eq!(ips(&first), [Some("10.0.0.1")]);
    assert_eq!(first.annotations()["metallb.io/ip-allocated-from-pool"], "lb-pool");
    assert_eq!(updated(&first, &wanted, at(9)), None);
}

#[test]
fn the_mode_that_the_api_server_added_is_kept_and_is_no_change() {
    let wanted = allocated(&["10.0.0.1"]);
    let mut written = updated(&service(serde_json::json!({})), &wanted, at(0)).unwrap();
    let balancer = written.status.as_mut().unwrap().load_balancer.as_mut().unwrap();
    balancer.ingress.as_mut().unwrap()[0].ip_mode = Some("VIP".into());
    assert_eq!(updated(&written, &wanted, at(9)), None);
    let added = updated(&written, &allocated(&["10.0.0.1", "fd00::1"]), at(9)).unwrap();
    let balancer = added.status.unwrap().load_balancer.unwrap();
    assert_eq!(balancer.ingress.unwrap()[0].ip_mode.as_deref(), Some("VIP"));
}

#[test]
fn clearing_takes_our_entries_and_leaves_the_rest() {
    let full = service(serde_json::json!({
        "loadBalancer": { "ingress": [{ "ip": "10.0.0.1" }, { "hostname": "other.example" }] },
        "conditions": [
            { "type": "Other", "status": "True", "reason": "x", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z" },
            { "type": ADDRESS_ALLOCATED, "status": "True", "reason": "x", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z" }
        ]
    }));
    let nothing = ServiceStatus { former: addresses(&["10.0.0.1"]), ..ServiceStatus::default() };
    let cleared = updated(&full, &nothing, at(0)).unwrap();
    assert_eq!(ips(&cleared), [None], "the hostname is another's");
    let conditions = cleared.status.unwrap().conditions.unwrap();
    assert_eq!(conditions.iter().map(|condition| condition.type_.as_str()).collect::<Vec<_>>(), ["Other"]);
}

#[test]
fn a_condition_keeps_its_time_until_its_truth_changes() {
    let time = |service: &Service| {
        service.status.as_ref().unwrap().conditions.as_ref().unwrap()[0].last_transition_time.0
    };
    let mut wanted = allocated(&[]);
    let first = updated(&service(serde_json::json!({})), &wanted, at(1)).unwrap();
    wanted.conditions[0].message = "Allocated, again.".into();
    let reworded = updated(&first, &wanted, at(2)).unwrap();
    assert_eq!(time(&reworded), at(1));
    wanted.conditions[0].holds = false;
    assert_eq!(time(&updated(&reworded, &wanted, at(3)).unwrap()), at(3));
}

#[test]
fn our_addresses_take_the_place_of_ours_and_entries_of_others_stay_in_theirs() {
    for (current, former, wanted, expected) in [
        (vec!["192.0.2.1"], vec![], vec!["10.0.0.1"], vec!["192.0.2.1", "10.0.0.1"]),
        (vec!["10.0.0.1", "192.0.2.1"], vec!["10.0.0.1"], vec!["10.0.0.2"], vec!["10.0.0.2", "192.0.2.1"]),
        (vec!["10.0.0.1", "192.0.2.1"], vec!["10.0.0.1"], vec![], vec!["192.0.2.1"]),
        (
            vec!["10.0.0.1", "192.0.2.1"],
            vec!["10.0.0.1"],
            vec!["10.0.0.1", "fd00::1"],
            vec!["10.0.0.1", "192.0.2.1", "fd00::1"],
        ),
        (
            vec!["10.0.0.1", "192.0.2.1", "fd00::1"],
            vec!["10.0.0.1", "fd00::1"],
            vec!["10.0.0.9"],
            vec!["10.0.0.9", "192.0.2.1"],
        ),
        (vec!["10.0.0.1", "10.0.0.1"], vec!["10.0.0.1", "10.0.0.1"], vec!["10.0.0.1"], vec!["10.0.0.1"]),
        (vec!["10.0.0.1"], vec![], vec!["10.0.0.1"], vec!["10.0.0.1"]),
    ] {
        let entries: Vec<_> = current.iter().map(|ip| serde_json::json!({ "ip": ip })).collect();
        let service = service(serde_json::json!({ "loadBalancer": { "ingress": entries } }));
        let status = ServiceStatus { former: addresses(&former), ..allocated(&wanted) };
        let written = updated(&service, &status, at(0)).unwrap();
        let expected: Vec<_> = expected.into_iter().map(Some).collect();
        assert_eq!(ips(&written), expected, "{current:?}, of which {former:?} are ours, becomes {wanted:?}");
        let again = ServiceStatus { former: addresses(&wanted), ..allocated(&wanted) };
        assert_eq!(updated(&written, &again, at(1)), None, "and then says so: {expected:?}");
    }
}

#[test]
fn what_was_given_is_recorded_and_the_record_goes_with_it() {
    let mut metallb = service(serde_json::json!({ "loadBalancer": { "ingress": [{ "ip": "10.0.0.1" }] } }));
    let old_key = "metallb.universe.tf/ip-allocated-from-pool";
    metallb.annotations_mut().insert(old_key.into(), "former".into());
    let given = updated(&metallb, &allocated(&["10.0.0.1", "fd00::1"]), at(0)).unwrap();
    let annotations = |service: &Service| service.annotations().clone();
    let expected = [
        ("ferrolb.io/allocated-addresses".into(), "10.0.0.1,fd00::1".into()),
        ("metallb.io/ip-allocated-from-pool".into(), "lb-pool".into()),
    ];
    assert_eq!(annotations(&given), expected.into());
    let former = addresses(&["10.0.0.1", "fd00::1"]);
    let cleared = updated(&given, &ServiceStatus { former, ..ServiceStatus::default() }, at(1)).unwrap();
    assert_eq!(annotations(&cleared), std::collections::BTreeMap::new());
    assert!(ips(&cleared).is_empty());
}

#[test]
fn our_condition_stays_where_it_is_among_those_of_others() {
    let mut wanted = allocated(&["10.0.0.1"]);
    let mut written = updated(&service(serde_json::json!({})), &wanted, at(0)).unwrap();
    let conditions = written.status.as_mut().unwrap().conditions.as_mut().unwrap();
    conditions.push(meta::Condition { type_: "Other".into(), ..conditions[0].clone() });
    assert_eq!(updated(&written, &wanted, at(9)), None, "another that writes last starts no quarrel");
    wanted.conditions[0].message = "Allocated, again.".into();
    let reworded = updated(&written, &wanted, at(9)).unwrap().status.unwrap().conditions.unwrap();
    let types: Vec<_> = reworded.iter().map(|condition| condition.type_.as_str()).collect();
    assert_eq!(types, [ADDRESS_ALLOCATED, "Other"]);
}

#[test]
fn one_of_our_conditions_comes_and_goes_and_the_other_stays_with_its_time() {
    let mut wanted = allocated(&["10.0.0.1"]);
    let first = updated(&service(serde_json::json!({})), &wanted, at(1)).unwrap();
    wanted.conditions.push(Condition {
        type_: ADDRESS_CONFLICT,
        holds: true,
        reason: "InUseByAnotherHost",
        message: "Another host has it.".into(),
    });
    let said = |service: &Service| -> Vec<(String, Timestamp)> {
        let conditions = service.status.as_ref().unwrap().conditions.as_ref().unwrap();
        let pair = |one: &meta::Condition| (one.type_.clone(), one.last_transition_time.0);
        conditions.iter().map(pair).collect()
    };
    let both = updated(&first, &wanted, at(2)).unwrap();
    assert_eq!(said(&both), [(ADDRESS_ALLOCATED.into(), at(1)), (ADDRESS_CONFLICT.into(), at(2))]);
    assert_eq!(updated(&both, &wanted, at(3)), None);
    wanted.conditions.pop();
    let over = updated(&both, &wanted, at(4)).unwrap();
    assert_eq!(said(&over), [(ADDRESS_ALLOCATED.into(), at(1))]);
}

#[test]
fn a_write_is_for_the_version_that_was_read_and_keeps_what_others_wrote() {
    let mut object = service(serde_json::json!({ "loadBalancer": { "ingress": [
        { "hostname": "lb.example", "ports": [{ "port": 80, "protocol": "TCP" }] },
        { "ip": "10.0.0.9", "ipMode": "Proxy", "ports": [{ "port": 443, "protocol": "TCP" }] }
    ] } }));
    object.metadata.resource_version = Some("7".into());
    let status = ServiceStatus { former: addresses(&["10.0.0.9"]), ..allocated(&["10.0.0.9", "fd00::1"]) };
    let patch = patch(&SeenService::of(&object), &status, at(0));
    assert_eq!(patch["metadata"]["resourceVersion"], "7");
    let written = updated(&object, &status, at(0)).unwrap();
    let entries = written.status.unwrap().load_balancer.unwrap().ingress.unwrap();
    let before = object.status.unwrap().load_balancer.unwrap().ingress.unwrap();
    assert_eq!(entries[..2], before);
    assert_eq!(entries[2].ip.as_deref(), Some("fd00::1"));
}
