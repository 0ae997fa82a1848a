//! kube-proxy of each node, as a process in the node's namespace.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;

use crate::config::LabConfig;
use crate::hosts::Host;
use crate::netns;
use crate::process::{Process, Processes};
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
