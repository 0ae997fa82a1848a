use super::*;
use serde_json::{Value, json};

fn context() -> Context {
    Context {
        default_namespace: "default".into(),
        config_namespaces: vec!["metallb-system".into()],
        created: Timestamp::UNIX_EPOCH,
    }
}

fn change(text: &str) -> anyhow::Result<Change> {
    Ok(Change { documents: document::parse("change.yaml", text)?, deletions: Vec::new() })
}

fn made(text: &str, deletions: &[&str]) -> anyhow::Result<ControllerObjects> {
    let deletions = deletions.iter().map(|text| text.parse().map_err(anyhow::Error::msg));
    let change = Change { deletions: deletions.collect::<anyhow::Result<_>>()?, ..change(text)? };
    let mut objects = ControllerObjects::default();
    change.make(&mut objects, &context())?;
    Ok(objects)
}

fn told(result: anyhow::Result<impl Sized>) -> String {
    result.err().map(|error| format!("{error:#}")).unwrap_or_default()
}

const POOL: &str = "apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\n\
     metadata: {name: p, namespace: metallb-system}\nspec: {addresses: [10.0.0.0/24]}\n";
const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {type: LoadBalancer}\n";

#[test]
fn documents_are_read_with_comments_lists_and_json() {
    let json: Value = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "worker1"}});
    let list = format!("apiVersion: v1\nkind: List\nitems:\n- {json}\n- {json}\n");
    for (text, places) in [
        (format!("# a comment\n---\n{POOL}---\n\n---\n{SERVICE}"), vec!["document 1", "document 3"]),
        (format!("{POOL}--- # another\n{SERVICE}"), vec!["document 1", "document 2"]),
        (json.to_string(), vec!["document 1"]),
        (list, vec!["document 1, items[0]", "document 1, items[1]"]),
        ("# nothing\n---\n".into(), vec![]),
    ] {
        let read: Vec<String> =
            change(&text).unwrap().documents.into_iter().map(|document| document.place).collect();
        assert_eq!(read, places.iter().map(|place| format!("change.yaml, {place}")).collect::<Vec<_>>());
    }
}

#[test]
fn what_cannot_be_planned_for_is_told_with_its_place() {
    for (text, expected) in [
        ("a: [", "change.yaml, document 1 does not parse: line 2 column 4"),
        ("a: 1", "change.yaml, document 1: no Kubernetes object, because it has no apiVersion"),
        (
            "apiVersion: v1\nkind: Service\n",
            "because it has no metadata.name (kind: \"Service\", name: \"\")",
        ),
        (
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}",
            "document 1: Deployment web (apps/v1) decides on no address; leave it out",
        ),
        (
            "apiVersion: v1\nkind: IPAddressPool\nmetadata: {name: p}",
            "IPAddressPool p (v1) decides on no address",
        ),
    ] {
        let told = told(change(&format!("---\n{text}")));
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn a_document_that_does_not_fit_is_told_with_its_object() {
    let shapeless = POOL.replace("[10.0.0.0/24]", "all");
    let told_shapeless = told(made(&shapeless, &[]));
    let expected =
        "change.yaml, document 1: IPAddressPool/metallb-system/p: the object does not have the shape";
    assert!(told_shapeless.starts_with(expected), "{told_shapeless}");

    let elsewhere = told(made(&POOL.replace("metallb-system", "elsewhere"), &[]));
    assert!(elsewhere.contains("not read from namespace elsewhere") && elsewhere.contains("metallb-system"));

    let absent = told(made(POOL, &["service/default/web"]));
    assert_eq!(
        absent,
        "--delete Service/default/web: there is no such object that FerroLB reads; correct the name"
    );
}

#[test]
fn a_document_makes_or_replaces_its_object() {
    let objects =
        made(&format!("{POOL}---\n{}---\n{SERVICE}", POOL.replace("0.0/24", "1.0/24")), &[]).unwrap();
    let [pool] = &objects.config.pools[..] else { panic!("{objects:?}") };
    assert_eq!(pool.0.as_ref().unwrap().spec.addresses, ["10.0.1.0/24"]);
    let [service] = &objects.services[..] else { panic!("{objects:?}") };
    assert_eq!(service.namespace().as_deref(), Some("default"));
    let spec = service.spec.as_ref().unwrap();
    assert_eq!(spec.cluster_ips.as_deref(), Some(&["0.0.0.0".to_owned()][..]), "as the API server would");
}

#[test]
fn a_deletion_takes_what_goes_with_the_object() {
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: default}\n";
    let node = "apiVersion: v1\nkind: Node\nmetadata: {name: worker1}\n";
    let text = [POOL, SERVICE, namespace, node].join("---\n");
    let objects = made(&text, &["Namespace/default", "nodes/worker1"]).unwrap();
    assert!(objects.services.is_empty() && objects.namespaces.is_empty() && objects.nodes.is_empty());
    assert_eq!(objects.config.pools.len(), 1);
    let objects = made(&text, &["ipaddresspool/metallb-system/p", "service/web"]).unwrap();
    assert!(objects.config.pools.is_empty() && objects.services.is_empty());
}

#[test]
fn a_deletion_names_a_kind_and_an_object() {
    let target = |kind, namespace: Option<&str>, name: &str| {
        Deletion(Target { kind, namespace: namespace.map(Into::into), name: name.into() })
    };
    for (text, expected) in [
        ("IPAddressPool/metallb-system/p", Ok(target(Kind::IpAddressPool, Some("metallb-system"), "p"))),
        ("l2advertisements/p", Ok(target(Kind::L2Advertisement, None, "p"))),
        ("node/worker1", Ok(target(Kind::Node, None, "worker1"))),
        ("node/default/worker1", Err("a Node is in no namespace; use Node/NAME")),
        ("pool", Err("expected KIND/NAMESPACE/NAME")),
        ("service//web", Err("expected a name after each slash")),
        ("pod/web", Err("kind \"pod\" is not planned for; use one of IPAddressPool, L2Advertisement")),
    ] {
        match (text.parse::<Deletion>(), expected) {
            (Ok(parsed), Ok(expected)) => assert_eq!(parsed, expected, "{text}"),
            (Err(told), Err(expected)) => assert!(told.starts_with(expected), "{text}: {told}"),
            (parsed, _) => panic!("{text}: {parsed:?}"),
        }
    }
}
