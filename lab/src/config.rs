//! Every parameter of a lab, with its default; `lab/lab.yaml` documents them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::node::ImageConfig;
use crate::subnet::{Subnet, offset};

/// Most nodes a lab can have; their addresses are ten in a row.
pub const MAX_NODES: u8 = 10;
/// Longest lab name: with the longest host name it stays readable in `ip netns`.
const MAX_NAME_LENGTH: usize = 16;
/// kube-apiserver refuses larger service prefixes.
const MAX_SERVICE_HOST_BITS: u8 = 20;

/// Parameters of one lab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LabConfig {
    /// Prefix of everything the lab creates: lower-case letters and digits, a letter first.
    pub name: String,
    /// Nodes, the first of which carries the control plane.
    pub nodes: u8,
    /// Address families of nodes, Pods and Services.
    pub ip_family: IpFamily,
    /// How kube-proxy programs Services.
    pub proxy_mode: ProxyMode,
    /// Addresses, per family.
    pub network: NetworkConfig,
    /// Whether and from what FerroLB is installed.
    pub ferrolb: FerrolbConfig,
    /// Programs that stand in for images, before the built-in ones.
    pub images: Vec<ImageConfig>,
    /// How much the lab's processes log.
    pub log: LogConfig,
    /// Deadlines and timers.
    pub timeouts: Timeouts,
}

/// Address families of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "camelCase")]
pub enum IpFamily {
    /// IPv4 alone.
    Ipv4,
    /// IPv6 alone.
    Ipv6,
    /// Both, IPv4 preferred.
    Dual,
}

/// kube-proxy's backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "camelCase")]
pub enum ProxyMode {
    /// One nftables table per family.
    Nftables,
    /// iptables chains; needs the iptables package.
    Iptables,
}

impl ProxyMode {
    /// The value of kube-proxy's `mode`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nftables => "nftables",
            Self::Iptables => "iptables",
        }
    }
}

/// Addresses of both families; only those of the chosen family are used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NetworkConfig {
    /// IPv4 addresses.
    pub ipv4: AddressPlan,
    /// IPv6 addresses.
    pub ipv6: AddressPlan,
}

/// Where one family's addresses come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddressPlan {
    /// The LAN all hosts are on.
    pub lan: Subnet,
    /// Address of the first node; the others follow it.
    pub first_node: IpAddr,
    /// Address of the client outside the cluster.
    pub client: IpAddr,
    /// Address of the router, everybody's default gateway.
    pub router: IpAddr,
    /// Pod addresses of the whole cluster.
    pub pods: Subnet,
    /// Length of each node's share of `pods`.
    pub node_pods_length: u8,
    /// Cluster addresses of Services.
    pub services: Subnet,
    /// Free addresses of the LAN for an IPAddressPool: a hint for demos and tests.
    pub pool: String,
}

/// FerroLB in the lab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct FerrolbConfig {
    /// Whether `up` installs it.
    pub install: bool,
    /// Manifest to apply; without one, `deploy/ferrolb.yaml` of this repository.
    pub manifest: Option<PathBuf>,
}

/// Log levels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LogConfig {
    /// klog verbosity of the Kubernetes programs, 0 to 10.
    pub kubernetes: u8,
    /// `tracing` filter of the kubelet stand-in.
    pub node: String,
}

/// Deadlines and timers, all in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Timeouts {
    /// A node that has not renewed its Lease for this long is `NotReady`.
    pub node_monitor_grace_seconds: u64,
    /// `up` waits this long for etcd and kube-apiserver.
    pub control_plane_seconds: u64,
    /// `up` and `start-node` wait this long for nodes to be ready.
    pub nodes_seconds: u64,
    /// `up` waits this long for FerroLB to be ready.
    pub ferrolb_seconds: u64,
    /// `reset` waits this long for objects to be gone.
    pub reset_seconds: u64,
}

impl Default for LabConfig {
    fn default() -> Self {
        Self {
            name: "ferrolb".into(),
            nodes: 3,
            ip_family: IpFamily::Dual,
            proxy_mode: ProxyMode::Nftables,
            network: NetworkConfig::default(),
            ferrolb: FerrolbConfig::default(),
            images: Vec::new(),
            log: LogConfig::default(),
            timeouts: Timeouts::default(),
        }
    }
}

impl Default for NetworkConfig {
    fn default() -> Self {
        let text = include_str!("config/network.yaml");
        serde_saphyr::from_str(text).expect("the built-in network is checked by a test")
    }
}

impl Default for FerrolbConfig {
    fn default() -> Self {
        Self { install: true, manifest: None }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { kubernetes: 1, node: "info".into() }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            node_monitor_grace_seconds: 8,
            control_plane_seconds: 60,
            nodes_seconds: 60,
            ferrolb_seconds: 60,
            reset_seconds: 30,
        }
    }
}

impl LabConfig {
    /// Reads a configuration file; what it leaves out has its default.
    ///
    /// # Errors
    /// When the file cannot be read, has an unknown field or a value that cannot work.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("read lab configuration {}", path.display()))?;
        // As text: the chain of its causes would say everything twice.
        let config: Self = serde_saphyr::from_str(&text)
            .map_err(|error| anyhow!("parse lab configuration {}: {error}", path.display()))?;
        config.validate().with_context(|| format!("check lab configuration {}", path.display()))?;
        Ok(config)
    }

    /// Address plans in use, the preferred family first.
    #[must_use]
    pub fn address_plans(&self) -> Vec<&AddressPlan> {
        match self.ip_family {
            IpFamily::Ipv4 => vec![&self.network.ipv4],
            IpFamily::Ipv6 => vec![&self.network.ipv6],
            IpFamily::Dual => vec![&self.network.ipv4, &self.network.ipv6],
        }
    }

    /// Comma-separated prefixes of all families in use, as Kubernetes' flags take them.
    pub(crate) fn prefixes(&self, of: impl Fn(&AddressPlan) -> Subnet) -> String {
        let prefixes: Vec<String> =
            self.address_plans().into_iter().map(|plan| of(plan).to_string()).collect();
        prefixes.join(",")
    }

    /// Checks that the parameters fit together.
    ///
    /// # Errors
    /// Names the field that cannot work and what would.
    pub fn validate(&self) -> anyhow::Result<()> {
        validate_name(&self.name)?;
        ensure!(
            (1..=MAX_NODES).contains(&self.nodes),
            "nodes: {} is outside 1 to {MAX_NODES}; choose a number in between",
            self.nodes
        );
        ensure!(
            self.timeouts.node_monitor_grace_seconds >= 3,
            "timeouts.nodeMonitorGraceSeconds: at least 3"
        );
        self.network.ipv4.validate(self.nodes).context("network.ipv4")?;
        self.network.ipv6.validate(self.nodes).context("network.ipv6")?;
        ensure!(self.network.ipv4.lan.address().is_ipv4(), "network.ipv4.lan: expected an IPv4 prefix");
        ensure!(self.network.ipv6.lan.address().is_ipv6(), "network.ipv6.lan: expected an IPv6 prefix");
        Ok(())
    }
}

/// Checks a lab name. It has no hyphen, so that no lab's names are a prefix of another's.
///
/// # Errors
/// Says which characters and lengths are possible.
pub fn validate_name(name: &str) -> anyhow::Result<()> {
    let letters = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase());
    ensure!(
        letters && starts_well && name.len() <= MAX_NAME_LENGTH,
        "lab name \"{name}\": expected a lower-case letter followed by at most {} lower-case letters and digits",
        MAX_NAME_LENGTH - 1
    );
    Ok(())
}

impl AddressPlan {
    /// Address of the node with this index, 0 the control plane.
    pub(crate) fn node(&self, index: u8) -> Option<IpAddr> {
        offset(self.first_node, index.into()).filter(|address| self.lan.contains(*address))
    }

    /// Pod prefix of the node with this index.
    pub(crate) fn node_pods(&self, index: u8) -> Option<Subnet> {
        self.pods.subnet(self.node_pods_length, index)
    }

    fn validate(&self, nodes: u8) -> anyhow::Result<()> {
        let mut seen = BTreeMap::new();
        for (field, address) in [("client", self.client), ("router", self.router)] {
            ensure!(self.lan.contains(address), "{field}: {address} is not in lan {}", self.lan);
            seen.insert(address, field.to_owned());
        }
        for index in 0..nodes {
            let Some(address) = self.node(index) else {
                bail!("firstNode: node {index} above {} is not in lan {}", self.first_node, self.lan);
            };
            if let Some(other) = seen.insert(address, format!("node {index}")) {
                bail!("firstNode: node {index} and {other} would both be {address}");
            }
            ensure!(
                self.node_pods(index).is_some(),
                "nodePodsLength: pods {} has no /{} for node {index}",
                self.pods,
                self.node_pods_length
            );
        }
        for (field, a, b) in [
            ("pods", self.pods, self.services),
            ("pods", self.pods, self.lan),
            ("services", self.services, self.lan),
        ] {
            ensure!(
                a.address().is_ipv4() == b.address().is_ipv4(),
                "{field}: {a} and {b} are of two families"
            );
            ensure!(!a.overlaps(b), "{field}: {a} overlaps {b}");
        }
        ensure!(
            self.services.host_bits() <= MAX_SERVICE_HOST_BITS,
            "services: {} is too large, kube-apiserver takes at most {MAX_SERVICE_HOST_BITS} host bits",
            self.services
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests;
