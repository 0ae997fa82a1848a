//! What one node of the lab knows about itself: the file `<state>/nodes/<name>/node.json`, written by
//! `lab up` and read by the node's own process.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// Everything the kubelet stand-in of one node needs to register its node and run Pods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeConfig {
    /// Name of the Node object and of the host in the lab, such as `worker1`.
    pub name: String,
    /// Name of the lab, the prefix of everything it creates on the machine.
    pub lab: String,
    /// Name of the node's network namespace, `<lab>-<name>`.
    pub netns: String,
    /// Addresses on the LAN, the preferred family first: the Node's `InternalIP`s.
    pub internal_ips: Vec<IpAddr>,
    /// Pod prefixes of this node, IPv4 first.
    pub pod_cidrs: Vec<String>,
    /// Kubeconfig with the credentials of `system:node:<name>`.
    pub kubeconfig: PathBuf,
    /// This node's own directory: pods, volumes, logs.
    pub state_dir: PathBuf,
    /// Labels the Node registers with.
    pub labels: BTreeMap<String, String>,
    /// Taints the Node registers with, each `key=value:Effect`.
    pub taints: Vec<String>,
    /// Version reported in `status.nodeInfo.kubeletVersion`, such as `v1.37.1`.
    pub kubernetes_version: String,
    /// Which local program stands in for which image.
    pub images: Vec<ImageConfig>,
    /// kube-apiserver's address on the LAN.
    pub api_server: SocketAddr,
    /// The cluster address of the Service `default/kubernetes`.
    pub service_ip: IpAddr,
    /// PEM file of the cluster's certificate authority.
    pub cluster_ca: PathBuf,
}

impl NodeConfig {
    /// File name of the configuration inside a node's directory.
    pub const FILE: &'static str = "node.json";

    /// Reads the configuration of a node from its directory.
    ///
    /// # Errors
    /// When the file cannot be read or does not hold a node configuration.
    pub fn read(node_dir: &Path) -> anyhow::Result<Self> {
        let path = node_dir.join(Self::FILE);
        let text =
            std::fs::read(&path).with_context(|| format!("read node configuration {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("parse node configuration {}", path.display()))
    }

    /// Writes the configuration into the node's directory, which must exist.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self) -> anyhow::Result<()> {
        let path = self.state_dir.join(Self::FILE);
        let text = serde_json::to_vec_pretty(self).context("serialize node configuration")?;
        std::fs::write(&path, text).with_context(|| format!("write node configuration {}", path.display()))
    }
}

/// A local program that stands in for a container image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageConfig {
    /// Exact `name:tag`, or `name` alone for any tag.
    pub image: String,
    /// Absolute path of the program.
    pub program: PathBuf,
    /// Put before the container's own `args` when the container has no `command`.
    #[serde(default)]
    pub args: Vec<String>,
    /// Environment of the image, below the container's own.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}
