//! Beside MetalLB: while its own Pods run, FerroLB gives, takes and announces nothing, says so, and
//! begins by itself when they are gone.

use std::time::Duration;

use ferrolb_e2e::{Cluster, eventually, service_yaml, stays};

const LB: &str = "http://192.168.100.240";
const POOL: [&str; 4] = ["ipaddresspool", "lb-pool", "-n", "metallb-system"];
/// Several passes of the controller, whose pause between two is a tenth of a second.
const SEVERAL_PASSES: Duration = Duration::from_secs(3);

/// A Pod that runs and carries the labels of MetalLB's manifests, in a namespace of the user's choice.
fn metallb_pod(component: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {component}-x\n  \
         labels: {{app: metallb, component: {component}}}\nspec:\n  hostNetwork: {}\n  \
         terminationGracePeriodSeconds: 1\n  \
         containers: [{{name: {component}, image: sysnet4admin/echo-hname}}]\n",
        component == "speaker"
    )
}

fn delete_pod(cluster: &Cluster, component: &str) {
    cluster.kubectl(&["delete", "pod", &format!("{component}-x"), "--wait=true"]);
}

/// Waits until the pool says that it waits for these Pods.
fn wait_told(cluster: &Cluster, pods: &str) {
    eventually(&format!("the pool waits for {pods}"), || {
        let told = cluster.condition(&POOL, "Ready");
        let expected = told.starts_with("False MetalLBRuns: ") && told.contains(pods);
        if expected { Ok(()) } else { Err(told) }
    });
}

/// The pool, a Service that has an address, and answers.
fn serve(cluster: &Cluster) {
    cluster.create_pool();
    cluster.create_web();
}

#[test]
fn beside_metallb_nothing_is_given_taken_or_announced_until_it_is_gone() {
    let cluster = Cluster::fresh();
    serve(&cluster);
    cluster.apply(&metallb_pod("controller"));
    cluster.apply(&metallb_pod("speaker"));
    wait_told(&cluster, "(default/controller-x, default/speaker-x)");
    eventually("nobody announces", || match cluster.announcer_now("svc-lb") {
        Err(nodes) if nodes == "[]" => Ok(()),
        other => Err(format!("{other:?}")),
    });
    // A node that announces nothing still serves whoever remembers it.
    cluster.lab.exec("client", &["ip", "neigh", "flush", "all"]).expect("the client is there");
    assert!(cluster.curl_once(LB).is_err(), "nobody answers for the address");

    cluster.apply(&service_yaml("later", "node-web-v1", &[]));
    // The pool of the Service that has an address is deleted: without MetalLB, the address would go.
    cluster.kubectl(&["delete", POOL[0], POOL[1], POOL[2], POOL[3]]);
    stays("every Service is as it was", SEVERAL_PASSES, || {
        let (kept, given) = (cluster.addresses("svc-lb"), cluster.addresses("later"));
        let object = cluster.get(&["service", "later"]);
        let judged = &object["status"]["conditions"];
        if kept == ["192.168.100.240"] && given.is_empty() && judged.is_null() {
            Ok(())
        } else {
            Err(format!("{kept:?}, {given:?}, {judged}"))
        }
    });
    cluster.create_example("metallb-ip.yaml");

    delete_pod(&cluster, "controller");
    wait_told(&cluster, "(default/speaker-x)");
    delete_pod(&cluster, "speaker");
    cluster.wait_addresses("later", &["192.168.100.241"]);
    assert_eq!(cluster.addresses("svc-lb"), ["192.168.100.240"]);
    cluster.curl(LB);
    cluster.wait_condition(&POOL, "Ready", "True");
}

#[test]
fn an_address_of_metallb_stays_while_there_is_no_pool_and_one_of_ferrolb_goes_with_the_last() {
    let cluster = Cluster::fresh();
    serve(&cluster);
    // A Service as MetalLB leaves it, from a time when FerroLB did not look.
    cluster.apply(&metallb_pod("speaker"));
    cluster.wait_condition(&POOL, "Ready", "False MetalLBRuns");
    cluster.apply(&service_yaml("metallbs", "node-web-v1", &[]));
    let given = r#"{"status":{"loadBalancer":{"ingress":[{"ip":"192.168.100.245"}]}}}"#;
    cluster.kubectl(&["patch", "service", "metallbs", "--subresource=status", "--type=merge", "-p", given]);
    let record = "metallb.io/ip-allocated-from-pool=lb-pool";
    cluster.kubectl(&["annotate", "service", "metallbs", record]);
    cluster.kubectl(&["delete", POOL[0], POOL[1], POOL[2], POOL[3]]);
    delete_pod(&cluster, "speaker");

    cluster.wait_addresses("svc-lb", &[]);
    let kept = || {
        let found = cluster.addresses("metallbs");
        if found == ["192.168.100.245"] { Ok(()) } else { Err(format!("{found:?}")) }
    };
    stays("the address that MetalLB gave", SEVERAL_PASSES, kept);
    cluster.create_example("metallb-ip.yaml");
    cluster.wait_condition(&["service", "metallbs"], "ferrolb.io/AddressAllocated", "True");
    assert_eq!(kept(), Ok(()));
    cluster.wait_addresses("svc-lb", &["192.168.100.240"]);
}
