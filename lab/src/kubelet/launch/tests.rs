use k8s_openapi::api::core::v1::{Container, PodSpec};
use serde_json::{Value, json};

use super::super::env::Environment;
use super::{capabilities, hosts, process, resolv_conf};
use crate::node::ImageConfig;
use crate::sandbox::Process;

fn build(pod: Value, container: Value) -> Result<Process, String> {
    let mut spec = json!({"containers": []});
    let mut full = json!({"name": "web"});
    for (base, extra) in [(&mut spec, pod), (&mut full, container)] {
        base.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    }
    let spec: PodSpec = serde_json::from_value(spec).unwrap();
    let container: Container = serde_json::from_value(full).unwrap();
    let image = ImageConfig {
        image: "web".to_owned(),
        program: "/opt/web".into(),
        args: Vec::new(),
        env: std::collections::BTreeMap::new(),
    };
    let mut environment = Environment::default();
    environment.set("NAME", "value");
    process(&spec, &container, &image, environment).map_err(|error| error.to_string())
}

#[test]
fn the_containers_security_context_wins_over_the_pods() {
    let pod = json!({"securityContext": {"runAsUser": 1000, "runAsGroup": 1001, "fsGroup": 2000, "supplementalGroups": [3000]}});
    let built = build(pod.clone(), json!({})).unwrap();
    assert_eq!((built.uid, built.gid, built.groups.as_slice()), (1000, 1001, [2000, 3000].as_slice()));
    assert!(!built.no_new_privileges);
    let own = json!({"securityContext": {"runAsUser": 0, "allowPrivilegeEscalation": false}});
    let built = build(pod, own).unwrap();
    assert_eq!((built.uid, built.gid, built.no_new_privileges), (0, 1001, true));
}

#[test]
fn a_container_that_may_not_be_root_needs_another_user() {
    let pod = json!({"securityContext": {"runAsNonRoot": true}});
    assert!(build(pod.clone(), json!({})).unwrap_err().contains("runAsNonRoot"));
    assert!(build(pod, json!({"securityContext": {"runAsUser": 65532}})).is_ok());
}

#[test]
fn args_expand_variables() {
    let built = build(json!({}), json!({"args": ["--name=$(NAME)"], "workingDir": "/srv"})).unwrap();
    assert_eq!(built.argv, ["/opt/web", "--name=value"]);
    assert_eq!(built.working_dir.to_str(), Some("/srv"));
}

#[test]
fn capabilities_are_the_default_less_dropped_plus_added() {
    let granted = |wanted: Value| {
        let wanted = serde_json::from_value(wanted).unwrap();
        capabilities(Some(&wanted), false).into_iter().collect::<Vec<_>>()
    };
    assert_eq!(granted(json!({"drop": ["ALL"], "add": ["NET_RAW"]})), ["CAP_NET_RAW"]);
    assert_eq!(granted(json!({"drop": ["all"], "add": ["CAP_SYS_NICE"]})), ["CAP_SYS_NICE"]);
    let some = granted(json!({"drop": ["NET_RAW"]}));
    assert!(some.contains(&"CAP_CHOWN".to_owned()) && !some.contains(&"CAP_NET_RAW".to_owned()));
    assert!(capabilities(None, true).contains("CAP_SYS_ADMIN"));
}

#[test]
fn a_pod_finds_itself_and_its_aliases() {
    let spec: PodSpec = serde_json::from_value(json!({
        "containers": [],
        "dnsPolicy": "ClusterFirst",
        "hostAliases": [{"ip": "192.168.100.1", "hostnames": ["router", "gateway"]}],
        "dnsConfig": {"nameservers": ["192.0.2.53"], "options": [{"name": "ndots", "value": "2"}]},
    }))
    .unwrap();
    let text = hosts(&spec, "web-1", &["10.233.65.2".parse().unwrap()]);
    assert!(
        text.contains("\n10.233.65.2\tweb-1\n") && text.contains("\n192.168.100.1\trouter\tgateway\n"),
        "{text}"
    );
    let resolv = resolv_conf(&spec, "shop");
    assert!(resolv.contains("nameserver 192.0.2.53\nsearch shop.svc.cluster.local "), "{resolv}");
    assert!(resolv.ends_with("options ndots:2\n"), "{resolv}");
}
