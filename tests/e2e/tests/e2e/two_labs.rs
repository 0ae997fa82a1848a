//! A second lab beside the first, with IPv6 alone and kube-proxy in iptables mode: names, ports and
//! bridges do not collide, and an address is announced by Neighbor Discovery only.

use ferrolb_e2e::{Cluster, LAB_DEFAULT, eventually, pool_yaml, say, service_yaml};
use ferrolb_lab::config::{IpFamily, ProxyMode};
use ferrolb_lab::{Lab, LabConfig};

const SECOND: &str = "ferrolbsix";

/// Takes the second lab down, whatever became of the test.
struct Down;

impl Drop for Down {
    fn drop(&mut self) {
        if let Err(error) = Lab::down(SECOND) {
            say(&format!("lab {SECOND} was not taken down: {error:#}"));
        }
    }
}

#[test]
fn a_cluster_of_ipv6_alone_lives_beside_another() {
    let first = Cluster::fresh();
    first.create_pool();
    first.create_web();
    let _down = Down;
    let config = LabConfig {
        name: SECOND.into(),
        nodes: 2,
        ip_family: IpFamily::Ipv6,
        proxy_mode: ProxyMode::Iptables,
        ..LabConfig::default()
    };
    let second = Cluster { lab: Lab::up(config).unwrap_or_else(|error| panic!("{error:#}")) };
    second.apply(&pool_yaml("six", &["fd00:100::240-fd00:100::250"]));
    second.create_example("rs-web-v1.yaml");
    second.apply(&service_yaml("six", "node-web-v1", &[]));
    second.wait_addresses("six", &["fd00:100::240"]);
    assert!(second.curl("http://[fd00:100::240]").starts_with("You've hit rs-web-v1-"));
    eventually("one node announces it", || second.announcer_now("six"));
    let seen = second.disturbed("http://[fd00:100::240]", || {
        let announcer = second.announcer("six");
        second.kubectl(&[
            "label",
            "node",
            &announcer,
            "node.kubernetes.io/exclude-from-external-load-balancers=",
        ]);
        eventually("the other node announces it", || match second.announcer_now("six")? {
            node if node == announcer => Err(node),
            node => Ok(node),
        });
    });
    say(&format!("longest gap while an IPv6 address moved: {:.2} s", seen.longest_gap.as_secs_f64()));
    assert!(first.curl_once("http://192.168.100.240").is_ok(), "lab {LAB_DEFAULT} goes on");
}
