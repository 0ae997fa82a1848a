//! A node that is cut off from the cluster and from its gateway stops answering, while its links are up.

use std::time::{Duration, Instant};

use ferrolb_e2e::{Cluster, eventually, say, stays};

const LB: &str = "192.168.100.240";
const LB_URL: &str = "http://192.168.100.240";

/// Heals the network, however the test ends.
struct Heal<'a>(&'a Cluster);

impl Drop for Heal<'_> {
    fn drop(&mut self) {
        drop(self.0.lab.heal());
    }
}

fn cut(cluster: &Cluster, node: &str, other: &str) {
    cluster.lab.partition(node, other).unwrap_or_else(|error| panic!("{error:#}"));
}

#[test]
fn a_node_without_peers_and_gateway_stops_answering_and_takes_nothing_when_it_is_back() {
    let cluster = Cluster::fresh();
    cluster.create_pool();
    cluster.create_web();
    // Not the node with the API server: the lab's tests need that.
    cluster.kubectl(&["label", "node", "master", "node.kubernetes.io/exclude-from-external-load-balancers="]);
    let owner = eventually("a worker announces", || match cluster.announcer_now("svc-lb")? {
        found if found != "master" => Ok(found),
        found => Err(found),
    });
    let station = |node: &str| format!("{node}/eth0");
    cluster.wait_answering("eth0", LB, &[&station(&owner)]);

    let _heal = Heal(&cluster);
    let others: Vec<String> = cluster.lab.node_names().into_iter().filter(|node| *node != owner).collect();
    let cut_at = Instant::now();
    for other in others.iter().map(String::as_str).chain(["router"]) {
        cut(&cluster, &owner, other);
    }
    // The client still reaches it: for a moment both answer, then only who took over.
    let heir = others.iter().find(|node| *node != "master").expect("two workers");
    cluster.wait_answering("eth0", LB, &[&station(heir)]);
    say(&format!("only {heir} answers {:.1} s after {owner} was cut off", cut_at.elapsed().as_secs_f64()));
    cluster.curl(LB_URL);

    cluster.lab.heal().expect("the switch heals");
    stays("one node answers", Duration::from_secs(5), || {
        let found = cluster.answering("eth0", LB);
        if found == [station(heir)].into() { Ok(()) } else { Err(format!("{found:?}")) }
    });
}

#[test]
fn a_gateway_that_is_gone_is_no_sign_while_peers_are_heard() {
    let cluster = Cluster::fresh();
    cluster.create_pool();
    cluster.create_web();
    let owner = cluster.announcer("svc-lb");
    let _heal = Heal(&cluster);
    cut(&cluster, &owner, "router");
    stays("the owner answers without a gateway", Duration::from_secs(8), || {
        cluster.curl_once(LB_URL).map(drop)?;
        cluster.announcer_now("svc-lb").and_then(|now| if now == owner { Ok(()) } else { Err(now) })
    });
}
