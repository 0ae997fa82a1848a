use super::*;
use kube::api::ObjectMeta;
use serde_json::json;

const MANIFEST: (&str, &str) = ("app", "component");
const HELM: (&str, &str) = ("app.kubernetes.io/name", "app.kubernetes.io/component");

fn pod((product, component): (&str, &str), (name, role): (&str, &str), args: &[&str]) -> Pod {
    let labels = [(product.to_owned(), "metallb".to_owned()), (component.to_owned(), role.to_owned())];
    Pod {
        metadata: ObjectMeta {
            name: Some(name.into()),
            namespace: Some("metallb-system".into()),
            labels: Some(labels.into()),
            ..ObjectMeta::default()
        },
        ..serde_json::from_value(json!({
            "spec": {"hostNetwork": role == "speaker", "containers": [{"name": role, "args": args}]},
            "status": {"phase": "Running"},
        }))
        .unwrap()
    }
}

fn found(pods: &[Pod], lb_class: Option<&str>) -> Vec<String> {
    MetalLbPods::of(pods, lb_class).iter().map(ToString::to_string).collect()
}

#[test]
fn both_forms_of_labels_are_known() {
    let pods = [
        pod(MANIFEST, ("speaker-a", "speaker"), &[]),
        pod(HELM, ("controller-b", "controller"), &[]),
        pod(MANIFEST, ("frr-c", "frr-k8s"), &[]),
        pod(("app", "app.kubernetes.io/component"), ("mixed", "speaker"), &[]),
        pod(("team", "component"), ("named-alike", "speaker"), &[]),
    ];
    assert_eq!(found(&pods, None), ["metallb-system/controller-b", "metallb-system/speaker-a"]);
    let pods = MetalLbPods::of(&pods, None);
    assert_eq!((pods.controllers.len(), pods.speakers.len()), (1, 1));
}

#[test]
fn a_tenants_pod_with_the_labels_stops_nobody() {
    let in_shop = |role: &str, host_network| {
        let mut pod = pod(MANIFEST, (role, role), &[]);
        pod.metadata.namespace = Some("shop".into());
        pod.spec.as_mut().unwrap().host_network = Some(host_network);
        pod
    };
    assert!(found(&[in_shop("speaker", false), in_shop("controller", false)], None).is_empty());
    let installed_there = [in_shop("speaker", true), in_shop("controller", false)];
    assert_eq!(found(&installed_there, None), ["shop/controller", "shop/speaker"]);
}

#[test]
fn a_pod_counts_until_it_has_ended() {
    for (phase, counts) in [
        (None, true),
        (Some("Pending"), true),
        (Some("Running"), true),
        (Some("Unknown"), true),
        (Some("Succeeded"), false),
        (Some("Failed"), false),
    ] {
        let mut pod = pod(MANIFEST, ("speaker-a", "speaker"), &[]);
        pod.status.as_mut().unwrap().phase = phase.map(Into::into);
        assert_eq!(!found(&[pod.clone()], None).is_empty(), counts, "{phase:?}");
    }
}

#[test]
fn the_class_is_that_of_its_arguments() {
    for (args, class) in [
        (&["--port=7472"][..], None),
        (&["--lb-class="], None),
        (&["--lb-class=lab/metallb"], Some("lab/metallb")),
        (&["-lb-class=lab/metallb"], Some("lab/metallb")),
        (&["--port", "1", "--lb-class", "lab/metallb", "--x"], Some("lab/metallb")),
        (&["--lb-class=first", "--lb-class=lab/metallb"], Some("lab/metallb")),
        (&["--lb-class"], None),
        (&["--lb-classes=lab/metallb", "lb-class=lab/metallb"], None),
    ] {
        let pods = [pod(MANIFEST, ("speaker-a", "speaker"), args)];
        assert_eq!(found(&pods, class), ["metallb-system/speaker-a"], "{args:?}");
        let other = if class.is_none() { Some("lab/metallb") } else { None };
        assert!(found(&pods, other).is_empty(), "{args:?} is not {other:?}");
    }
}

#[test]
fn a_controller_that_only_serves_webhooks_gives_nothing() {
    let pods = [pod(MANIFEST, ("controller-a", "controller"), &["--webhook-mode=onlywebhook"])];
    assert!(found(&pods, None).is_empty());
    let pods = [pod(MANIFEST, ("controller-a", "controller"), &["--webhook-mode=disabled"])];
    assert_eq!(found(&pods, None), ["metallb-system/controller-a"]);
}

#[test]
fn what_is_kept_in_memory_suffices_to_tell() {
    let mut stripped = pod(HELM, ("speaker-a", "speaker"), &["--lb-class=lab/metallb"]);
    stripped.spec.as_mut().unwrap().node_name = Some("master".into());
    strip(&mut stripped);
    assert_eq!(stripped.spec.as_ref().unwrap().node_name, None);
    assert_eq!(found(&[stripped], Some("lab/metallb")), ["metallb-system/speaker-a"]);
}
