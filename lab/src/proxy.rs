//! kube-proxy of each node, as a process in the node's namespace.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;

use crate::config::{LabConfig, ProxyMode};
use crate::hosts::Host;
use crate::netns;
use crate::process::{Process, Processes};
use crate::program::run;
use crate::state::{StateDir, write};

/// Where kube-proxy answers `/healthz` with 200 once it has programmed the node.
const HEALTH_PORT: u16 = 10256;
/// How soon a silent connection to the API server is probed and given up: 45 s by default, during which
/// a kube-proxy would not notice that the master lost power and came back.
const HTTP2_LIVENESS: [(&str, &str); 2] =
    [("HTTP2_READ_IDLE_TIMEOUT_SECONDS", "5"), ("HTTP2_PING_TIMEOUT_SECONDS", "3")];
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// Name of the process on a node.
pub(crate) fn process_name(node: &str) -> String {
    format!("kube-proxy-{node}")
}

/// Starts kube-proxy on a node.
pub(crate) fn start(
    config: &LabConfig,
    state: &StateDir,
    kubernetes: &Path,
    node: &Host,
    processes: &Processes,
) -> anyhow::Result<()> {
    let path = config_file(state, node);
    let text = serde_json::to_vec_pretty(&configuration(config, state, node))?;
    write(&path, &text)?;
    processes.spawn(Process {
        name: process_name(&node.name),
        netns: &node.netns,
        program: &kubernetes.join("kube-proxy"),
        args: vec![format!("--config={}", path.display()), format!("--v={}", config.log.kubernetes)],
        env: HTTP2_LIVENESS.map(|(name, seconds)| (name, seconds.to_owned())).to_vec(),
        stdin: Stdio::null(),
    })
}

/// Whether kube-proxy has programmed all these nodes; an error when it cannot be asked.
pub(crate) fn all_healthy(nodes: &[&Host]) -> anyhow::Result<Result<(), String>> {
    for node in nodes {
        let answer = netns::within(&node.netns, health)?
            .with_context(|| format!("ask kube-proxy on {}", node.name))?;
        if !answer.starts_with("HTTP/1.1 200") {
            return Ok(Err(format!("kube-proxy on {} has not programmed the node yet", node.name)));
        }
    }
    Ok(Ok(()))
}

/// The answer of this namespace's kube-proxy to a health check.
fn health() -> std::io::Result<String> {
    let mut stream = TcpStream::connect((Ipv6Addr::LOCALHOST, HEALTH_PORT))
        .or_else(|_not_ipv6| TcpStream::connect((Ipv4Addr::LOCALHOST, HEALTH_PORT)))?;
    stream.set_read_timeout(Some(HEALTH_TIMEOUT))?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Whether kube-proxy on all these nodes has forgotten every Service but `services` (`namespace/name`). It writes
/// rules once a second, so those of a Service that is gone lead to dead Pods until then.
pub(crate) fn all_forgot(
    mode: ProxyMode,
    nodes: &[&Host],
    services: &BTreeSet<String>,
) -> anyhow::Result<Result<(), String>> {
    for node in nodes {
        let rules = netns::within(&node.netns, || rules(mode))?
            .with_context(|| format!("read the rules of kube-proxy on {}", node.name))?;
        if let Some(stale) = services_in(&rules).find(|service| !services.contains(*service)) {
            return Ok(Err(format!("kube-proxy on {} still has rules for Service {stale}", node.name)));
        }
    }
    Ok(Ok(()))
}

/// What this namespace's kube-proxy does with addresses of Services, as the tools print it.
fn rules(mode: ProxyMode) -> anyhow::Result<String> {
    match mode {
        ProxyMode::Nftables => run("nft", &["list", "maps"], ""),
        ProxyMode::Iptables => ["iptables-save", "ip6tables-save"]
            .map(|program| run(program, &["--table", "nat"], ""))
            .into_iter()
            .collect(),
    }
}

/// The Services that rules name: in the chain of an nftables map (`service-HASH-namespace/name/tcp/port`, for
/// an address from outside `external-…`) or in the comment of an iptables rule (`"namespace/name:port cluster IP"`).
fn services_in(rules: &str) -> impl Iterator<Item = &str> {
    rules.split_whitespace().filter_map(|word| {
        let chain = word.strip_prefix("service-").or_else(|| word.strip_prefix("external-"));
        let named = match chain {
            Some(chain) => chain.split_once('-')?.1,
            None => word.strip_prefix('"')?,
        };
        let (_namespace, rest) = named.split_once('/')?;
        let name = rest.split(['/', ':', '"']).next()?;
        named.get(..named.len() - rest.len() + name.len())
    })
}

fn config_file(state: &StateDir, node: &Host) -> PathBuf {
    state.node(&node.name).join("kube-proxy.json")
}

fn configuration(config: &LabConfig, state: &StateDir, node: &Host) -> serde_json::Value {
    let ipv4_first = node.ips().first().is_none_or(std::net::IpAddr::is_ipv4);
    let (any, loopback) = if ipv4_first { ("0.0.0.0", "127.0.0.1") } else { ("[::]", "[::1]") };
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": config.proxy_mode.as_str(),
        "hostnameOverride": node.name,
        "bindAddress": any.trim_matches(['[', ']']),
        "clientConnection": { "kubeconfig": state.component_kubeconfig("kube-proxy") },
        "clusterCIDR": config.prefixes(|plan| plan.pods),
        "detectLocalMode": "ClusterCIDR",
        "healthzBindAddress": format!("{any}:{HEALTH_PORT}"),
        "metricsBindAddress": format!("{loopback}:10249"),
        // Zeros leave the kernel's conntrack settings alone: they belong to the whole machine.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    })
}

#[cfg(test)]
mod tests {
    use super::services_in;

    #[test]
    fn services_are_found_in_the_rules_of_either_mode() {
        let nftables = "table ip kube-proxy {\n map service-ips {\n comment \"ClusterIP, ExternalIP and LoadBalancer IP \
                        traffic\"\n elements = { 10.233.0.1 . tcp . 443 : goto service-2QRHZV4L-default/kubernetes/tcp/https,\n \
                        192.0.2.1 . tcp . 80 : goto external-ACJ2NB2K-a-b/svc-lb/tcp/ } }";
        assert_eq!(services_in(nftables).collect::<Vec<_>>(), ["default/kubernetes", "a-b/svc-lb"]);
        let iptables = "-A KUBE-SERVICES -d 10.233.0.1/32 -p tcp -m comment --comment \"default/kubernetes:https cluster IP\" \
                        -j KUBE-SVC-NPX46M4PTMTKRN6Y\n-A KUBE-SEP-A -m comment --comment \"a-b/svc-lb\" -j DNAT";
        assert_eq!(services_in(iptables).collect::<Vec<_>>(), ["default/kubernetes", "a-b/svc-lb"]);
    }
}
