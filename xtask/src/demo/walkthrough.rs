//! The steps of the walkthroughs that need no HTTP layer, in the order of
//! `examples/walkthrough/README.md`.

use anyhow::Result;

use super::Stage;

/// The lab's client, outside the cluster.
const CLIENT: &str = "192.168.100.10";

/// 004 up to the first answered request to an external address.
pub(super) fn first_address(stage: &Stage) -> Result<()> {
    stage.section("The cluster, with FerroLB in the place of MetalLB");
    stage.kubectl("get nodes -o wide")?;
    stage.kubectl("get pods -o wide --namespace ferrolb-system")?;

    stage.section("004: two web sites, three Pods each");
    for version in ["v1", "v2"] {
        stage.kubectl(&format!("create -f rs-web-{version}.yaml"))?;
    }
    for version in ["v1", "v2"] {
        let ready = "--for=jsonpath={.status.readyReplicas}=3 --timeout=60s";
        stage.kubectl(&format!("wait replicaset rs-web-{version} {ready}"))?;
    }
    stage.kubectl("get replicasets -o wide")?;
    stage.kubectl("get pods -o wide")?;

    stage.section("004: NodePort, reachable at a node's address and an odd port");
    for version in ["v1", "v2"] {
        stage.kubectl(&format!("create -f svc-node-web-nodeport-{version}.yaml"))?;
    }
    stage.kubectl("get services -o wide")?;
    for port in [30001, 30002] {
        stage.curl(&format!("http://192.168.100.200:{port}"))?;
    }

    stage.section("004: the addresses FerroLB may give out, and how to announce them");
    stage.kubectl("create -f metallb-ip.yaml")?;
    stage.kubectl("create -f metallb-l2.yaml")?;

    stage.section("004: a LoadBalancer gets its external address");
    stage.kubectl("create -f svc-node-web-lb.yaml")?;
    await_address(stage, "svc-lb", "192.168.100.240")?;
    stage.kubectl("get services -o wide")?;
    stage.curl("http://192.168.100.240").map(drop)
}

/// 004: who announces, and sticky sessions.
pub(super) fn load_balancer(stage: &Stage) -> Result<()> {
    stage.section("004: what happened, told at the Service");
    stage.until("the Event nodeAssigned", || {
        let events = stage
            .ask("get events --field-selector involvedObject.name=svc-lb,reason=nodeAssigned -o name")?;
        Ok((!events.is_empty()).then_some(()))
    })?;
    stage.kubectl("describe service svc-lb")?;

    stage.section("004: each request may meet another Pod");
    for _ in 0..4 {
        stage.curl("http://192.168.100.240")?;
    }

    stage.section("004: sessionAffinity ClientIP, the same Pod each time");
    stage.kubectl("create -f svc-node-web-lb-sa.yaml")?;
    await_address(stage, "svc-lb-sa", "192.168.100.241")?;
    stage.kubectl("get services -o wide")?;
    for _ in 0..3 {
        stage.curl("http://192.168.100.241")?;
    }
    Ok(())
}

/// 003 and 001: one Pod, three, six.
pub(super) fn scale(stage: &Stage) -> Result<()> {
    stage.section("003: one Pod behind a NodePort, then three");
    stage.kubectl("create deployment np-pods --image=sysnet4admin/echo-hname")?;
    stage.kubectl("create -f nodeport.yaml")?;
    stage.kubectl("rollout status deployment np-pods --timeout=60s")?;
    stage.curl("http://192.168.100.201:30000")?;
    stage.kubectl("scale deployment np-pods --replicas=3")?;
    stage.kubectl("rollout status deployment np-pods --timeout=60s")?;
    stage.curl_spread("http://192.168.100.201:30000", 40, 3)?;
    stage.kubectl("delete deployment np-pods")?;
    stage.kubectl("delete services np-svc")?;

    stage.section("001: one Pod behind a LoadBalancer, then three, then six");
    stage.kubectl("create deployment lb-hname-pods --image=sysnet4admin/echo-hname")?;
    stage.kubectl("expose deployment lb-hname-pods --type=LoadBalancer --name=lb-hname-svc --port=80")?;
    await_address(stage, "lb-hname-svc", "192.168.100.242")?;
    stage.kubectl("get svc")?;
    stage.curl("http://192.168.100.242")?;
    for (replicas, requests) in [(3, 40), (6, 80)] {
        stage.kubectl(&format!("scale deploy lb-hname-pods --replicas={replicas}"))?;
        stage.kubectl("rollout status deployment lb-hname-pods --timeout=60s")?;
        stage.curl_spread("http://192.168.100.242", requests, replicas)?;
    }
    stage.kubectl("get pods -o wide --selector app=lb-hname-pods").map(drop)
}

/// 004: whose address the Pod sees.
pub(super) fn client_address(stage: &Stage) -> Result<()> {
    stage.section("004: externalTrafficPolicy Cluster, the Pod sees a node");
    stage.kubectl("create -f rs-web.yaml")?;
    stage.kubectl("create -f svc-web-node.yaml")?;
    stage.kubectl("wait replicaset rs-web --for=jsonpath={.status.readyReplicas}=3 --timeout=60s")?;
    let node = stage.ask("get pods --selector app=node-web -o jsonpath={.items[0].status.hostIP}")?;
    stage.curl(&format!("http://{node}:30123/ip"))?;

    stage.section("004: externalTrafficPolicy Local, the Pod sees the client");
    stage.kubectl("create -f svc-web-node-et.yaml")?;
    stage.kubectl("get services -o wide")?;
    stage.curl(&format!("http://{node}:30125"))?;
    stage.curl_until(&format!("http://{node}:30125/ip"), |seen| seen == CLIENT)?;

    stage.section("004: the same for a LoadBalancer");
    stage.curl("http://192.168.100.241/ip")?;
    stage.kubectl(r#"patch service svc-lb-sa --patch {"spec":{"externalTrafficPolicy":"Local"}}"#)?;
    stage.curl_until("http://192.168.100.241/ip", |seen| seen == CLIENT).map(drop)
}

fn await_address(stage: &Stage, service: &str, address: &str) -> Result<()> {
    let given = format!("--for=jsonpath={{.status.loadBalancer.ingress[0].ip}}={address} --timeout=30s");
    stage.kubectl(&format!("wait service {service} {given}")).map(drop)
}
