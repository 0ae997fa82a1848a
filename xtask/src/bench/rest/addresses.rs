//! Services with an address each, made and waited for.

use std::fs;
use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::bench::failover::Stage;
use crate::workspace;

/// How long until all are announced: a thousand take a minute.
const PATIENCE: Duration = Duration::from_secs(300);
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// The nodes that say they announce: one word for each address.
const ANNOUNCERS: [&str; 4] =
    ["get", "servicel2statuses", "--all-namespaces", "--output=jsonpath={.items[*].status.node}"];

/// Creates the Services with these numbers, and waits until there are as many announced as the greatest.
pub(super) fn announce(stage: &Stage, numbers: Range<usize>) -> Result<()> {
    let wanted = numbers.end;
    if !numbers.is_empty() {
        create(stage, numbers)?;
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let announced = stage.kubectl(&ANNOUNCERS)?.split_whitespace().count();
        if announced == wanted {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{announced} addresses are announced instead of {wanted}");
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// Creates the Services with these numbers, and waits for nothing.
pub(in crate::bench) fn create(stage: &Stage, numbers: Range<usize>) -> Result<()> {
    let services: Vec<Value> = numbers.map(service).collect();
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": services });
    let directory = workspace::target().join("bench/rest");
    fs::create_dir_all(&directory).with_context(|| format!("could not create {}", directory.display()))?;
    let path = directory.join("services.json");
    fs::write(&path, list.to_string()).with_context(|| format!("could not write {}", path.display()))?;
    stage.kubectl(&["create", "--validate=false", "-f", &path.display().to_string()]).map(drop)
}

/// A Service of the one Pod, without node ports, that kube-proxy does not look at: what it does with
/// 1,000 Services is not what is measured.
fn service(number: usize) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": format!("service-{number:04}"),
            "namespace": "default",
            "labels": { "service.kubernetes.io/service-proxy-name": "none" },
        },
        "spec": {
            "type": "LoadBalancer",
            "allocateLoadBalancerNodePorts": false,
            "selector": { "app": "web" },
            "ports": [{ "port": 80, "targetPort": 8080 }],
        },
    })
}
