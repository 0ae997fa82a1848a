//! The hosts of a lab: their names, namespaces and addresses, derived from its configuration.

use std::net::IpAddr;

use anyhow::{Context, ensure};

use crate::config::{AddressPlan, LabConfig};
use crate::subnet::Subnet;

/// The host that is no host: the switch all others are plugged into.
pub(crate) const LAN: &str = "lan";

/// What a host is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A node of the cluster; index 0 carries the control plane.
    Node {
        /// Position, which addresses and Pod prefixes follow.
        index: u8,
    },
    /// A machine outside the cluster, on its LAN.
    Client,
    /// Everybody's default gateway.
    Router,
}

/// A host of the lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Short name, also of its port on the switch.
    pub name: String,
    /// Network namespace.
    pub netns: String,
    /// What it is there for.
    pub role: Role,
    /// MAC address of `eth0`, the same after a restart.
    pub mac: String,
    /// Addresses on the LAN with the LAN's prefix length, the preferred family first.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Addresses of the default gateways, one per family; none on the router.
    pub gateways: Vec<IpAddr>,
    /// Pod prefixes, one per family; nodes only.
    pub pod_prefixes: Vec<Subnet>,
}

impl Host {
    /// Whether this is a node of the cluster.
    #[must_use]
    pub fn is_node(&self) -> bool {
        matches!(self.role, Role::Node { .. })
    }

    /// Whether this node carries the control plane.
    #[must_use]
    pub fn is_master(&self) -> bool {
        self.role == Role::Node { index: 0 }
    }

    /// Addresses on the LAN, the preferred family first.
    #[must_use]
    pub fn ips(&self) -> Vec<IpAddr> {
        self.addresses.iter().map(|(address, _)| *address).collect()
    }
}

/// Name of a namespace of a lab.
pub(crate) fn netns(lab: &str, host: &str) -> String {
    format!("{lab}-{host}")
}

/// Whether a namespace of this name is one of the lab's hosts, its switch or one of its Pods.
pub(crate) fn owns_netns(lab: &str, netns: &str) -> bool {
    let Some(host) = netns.strip_prefix(lab).and_then(|rest| rest.strip_prefix('-')) else {
        return false;
    };
    let is_worker = |host: &str| host.strip_prefix("worker").is_some_and(|n| n.parse::<u8>().is_ok());
    matches!(host, LAN | "master" | "client" | "router") || is_worker(host) || host.starts_with("p-")
}

/// All hosts of a lab: nodes in order, then the client and the router.
pub(crate) fn hosts(config: &LabConfig) -> anyhow::Result<Vec<Host>> {
    let mut hosts = Vec::new();
    for index in 0..config.nodes {
        hosts.push(host(config, Role::Node { index })?);
    }
    hosts.push(host(config, Role::Client)?);
    hosts.push(host(config, Role::Router)?);
    Ok(hosts)
}

fn host(config: &LabConfig, role: Role) -> anyhow::Result<Host> {
    let (name, station) = match role {
        Role::Node { index: 0 } => ("master".to_owned(), 200),
        Role::Node { index } => (format!("worker{index}"), 200 + index),
        Role::Client => ("client".to_owned(), 10),
        Role::Router => ("router".to_owned(), 1),
    };
    let mut host = Host {
        netns: netns(&config.name, &name),
        role,
        mac: format!("02:00:c0:a8:64:{station:02x}"),
        addresses: Vec::new(),
        gateways: Vec::new(),
        pod_prefixes: Vec::new(),
        name,
    };
    for plan in config.address_plans() {
        host.addresses.push((address(plan, role)?, plan.lan.length()));
        if role != Role::Router {
            host.gateways.push(plan.router);
        }
        if let Role::Node { index } = role {
            host.pod_prefixes.push(plan.node_pods(index).context("pods: too few prefixes for the nodes")?);
        }
    }
    ensure!(!host.addresses.is_empty(), "host {} has no address", host.name);
    Ok(host)
}

fn address(plan: &AddressPlan, role: Role) -> anyhow::Result<IpAddr> {
    match role {
        Role::Node { index } => plan.node(index).context("firstNode: too few addresses for the nodes"),
        Role::Client => Ok(plan.client),
        Role::Router => Ok(plan.router),
    }
}

#[cfg(test)]
mod tests {
    use super::{hosts, owns_netns};
    use crate::config::{IpFamily, LabConfig};

    #[test]
    fn hosts_have_the_walkthroughs_names_and_addresses() {
        let hosts = hosts(&LabConfig::default()).unwrap();
        let names: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
        assert_eq!(names, ["master", "worker1", "worker2", "client", "router"]);
        let worker = &hosts[1];
        assert_eq!(worker.netns, "ferrolb-worker1");
        assert_eq!(
            worker.ips(),
            ["192.168.100.201".parse::<std::net::IpAddr>().unwrap(), "fd00:100::201".parse().unwrap()]
        );
        assert_eq!(worker.gateways.len(), 2);
        assert!(hosts[4].gateways.is_empty());
    }

    #[test]
    fn a_single_family_cluster_has_no_address_of_the_other() {
        let config = LabConfig { ip_family: IpFamily::Ipv6, ..LabConfig::default() };
        for host in hosts(&config).unwrap() {
            assert!(host.ips().iter().all(std::net::IpAddr::is_ipv6), "{}", host.name);
        }
    }

    #[test]
    fn only_the_labs_own_namespaces_are_its_own() {
        for name in ["a-lan", "a-worker10", "a-p-0123", "a-router"] {
            assert!(owns_netns("a", name), "{name}");
        }
        for name in ["ab-lan", "a-other", "a", "lan", "a-worker", "a-workerx", "b-p-1"] {
            assert!(!owns_netns("a", name), "{name}");
        }
    }
}
