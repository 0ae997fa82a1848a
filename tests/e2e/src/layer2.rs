//! What the tests of layer 2 start from.

use crate::{Cluster, pool_yaml, service_yaml};

/// The first IPv4 address of [`Cluster::create_pods_and_dual_pool`]. Its order of nodes by hash is master,
/// worker2, worker1.
pub const V4: &str = "192.168.100.240";
/// The first IPv6 address of the same pool.
pub const V6: &str = "fd00:100::240";

/// An L2Advertisement in MetalLB's namespace; `spec` in one line, as `ipAddressPools: [a]`.
#[must_use]
pub fn advertisement_yaml(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: metallb.io/v1beta1\nkind: L2Advertisement\n\
         metadata: {{name: {name}, namespace: metallb-system}}\nspec: {{{spec}}}\n"
    )
}

/// `nodeSelectors` for these nodes.
#[must_use]
pub fn on_nodes(nodes: &[&str]) -> String {
    let names = nodes.join(", ");
    let key = "key: kubernetes.io/hostname";
    format!("nodeSelectors: [{{matchExpressions: [{{{key}, operator: In, values: [{names}]}}]}}]")
}

impl Cluster {
    /// Three Pods, app=node-web-v1, and a pool `lb` of both families, which nothing advertises yet.
    pub fn create_pods_and_dual_pool(&self) {
        self.create_example("rs-web-v1.yaml");
        self.apply(&pool_yaml("lb", &["192.168.100.240-192.168.100.250", "fd00:100::240-fd00:100::250"]));
    }

    /// A Service of both families for those Pods, with `labels`, as in `a: b`.
    pub fn create_dual_service(&self, name: &str, labels: &str) {
        let yaml = service_yaml(name, "node-web-v1", &["ipFamilyPolicy: RequireDualStack"]);
        let metadata = format!("{{name: {name}, labels: {{{labels}}}}}");
        self.apply(&yaml.replace(&format!("{{name: {name}}}"), &metadata));
    }

    /// Waits until `node` alone answers for both addresses of the Service `web`, and its Pods do.
    ///
    /// kube-proxy may need a moment longer than the announcement.
    pub fn wait_node(&self, node: &str) {
        self.wait_announcer("web", node);
        for address in [V4, V6] {
            self.wait_answering("eth0", address, &[&format!("{node}/eth0")]);
        }
        self.curl(&format!("http://{V4}"));
        self.curl(&format!("http://[{V6}]"));
    }

    /// From now on the first node in the order owns what the advertisement `lb` is about, whenever it
    /// can, as with MetalLB.
    pub fn fail_back(&self) {
        let object = ["l2advertisement", "lb", "-n", "metallb-system"];
        self.kubectl(&[&["annotate"], &object[..], &["ferrolb.io/failback=true"]].concat());
    }
}
