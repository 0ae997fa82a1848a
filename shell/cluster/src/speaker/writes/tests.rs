use super::*;
use ferrolb_api::service_l2_status::ServiceL2StatusSpec;

fn service(name: &str) -> ServiceKey {
    ServiceKey::new("default", name)
}

/// What `node` wrote about `name`.
fn status(node: &str, name: &str) -> ServiceL2Status {
    let node = NodeName::from(node);
    let mut status = ServiceL2Status::new(&l2_name(&service(name), &node), ServiceL2StatusSpec::default());
    let labels =
        [(labels::NODE, node.as_str()), (labels::SERVICE_NAMESPACE, "default"), (labels::SERVICE_NAME, name)];
    status.metadata.labels = Some(labels.map(|(key, value)| (key.into(), value.into())).into());
    status
}

/// What `a` reports that announces `web`, while `b` is alive.
fn report(is_whole: bool) -> Report {
    let announced = AnnouncedService { is_whole, ..AnnouncedService::default() };
    Report {
        announced: [(service("web"), announced)].into(),
        alive: ["a".into(), "b".into()].into(),
        ..Report::default()
    }
}

#[test]
fn what_another_node_says_of_a_service_of_ours_is_removed_if_it_is_wrong_or_nobodys() {
    let is_removed =
        |status: &ServiceL2Status, is_whole| is_superfluous(status, &"a".into(), &report(is_whole));
    // (who says it, whether it goes when we announce a part of the Service, and all of it)
    for (node, part, whole) in [("a", false, false), ("b", false, true), ("dead", true, true)] {
        let status = status(node, "web");
        assert_eq!((is_removed(&status, false), is_removed(&status, true)), (part, whole), "{node}");
    }
    for (node, expected) in [("a", true), ("b", false), ("dead", false)] {
        assert_eq!(is_removed(&status(node, "other"), true), expected, "{node} of what we do not announce");
    }
    let mut of_former_release = status("a", "web");
    of_former_release.metadata.name = Some("l2-abcde".into());
    assert!(is_removed(&of_former_release, true));
}

#[test]
fn a_service_that_is_advertised_names_its_peers_in_order_and_no_namespace() {
    let peers = ["b", "a"].map(|peer| ObjectName::new("metallb-system", peer));
    let status = bgp_status(&"n".into(), &service("web"), &peers.into());
    let expected = serde_json::json!({
        "node": "n", "serviceName": "web", "serviceNamespace": "default", "peers": ["a", "b"],
    });
    assert_eq!(serde_json::to_value(status).unwrap(), expected);
}

#[test]
fn a_name_never_changes_or_objects_of_older_speakers_would_be_left_behind() {
    assert_eq!(l2_name(&service("web"), &"a".into()), "l2-202061a44020ffab");
    assert_ne!(l2_name(&service("web"), &"b".into()), l2_name(&service("web"), &"a".into()));
}

#[tokio::test]
async fn what_is_refused_keeps_nothing_else_from_being_written() {
    let asked = std::cell::RefCell::new(Vec::new());
    let write = |number: u32| {
        asked.borrow_mut().push(number);
        std::future::ready(if [2, 4].contains(&number) { Err(number) } else { Ok(()) })
    };
    assert_eq!(all((1..6).map(write)).await, Err(2), "the first");
    assert_eq!(*asked.borrow(), [1, 2, 3, 4, 5]);
}
