//! Addresses and namespaces of Pods.
//!
//! Each node has a bridge `cni0` with the first address of each of its Pod prefixes. A Pod's interface has
//! its address alone, with no prefix, and routes everything through the bridge's address: so the packets of
//! two Pods of one node pass the node's netfilter too, which undoes kube-proxy's translation on the way
//! back without the bridge calling netfilter.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, bail};

use crate::netns;
use crate::node::NodeConfig;
use crate::program::run;
use crate::subnet::Subnet;

const BRIDGE: &str = "cni0";
/// File in a Pod's directory that names its namespace, so that it can be found from outside.
const NETNS_FILE: &str = "netns";
/// The bridge has the address above the prefix's own.
const GATEWAY_INDEX: u32 = 1;
/// Pods of a node whose prefix is larger than that stay below it.
const INDEX_MAX: u32 = 65_000;

/// A Pod's place in the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PodNetwork {
    /// Its namespace; none on the host network.
    pub(super) netns: Option<String>,
    /// Its addresses, in the order of the node's.
    pub(super) ips: Vec<IpAddr>,
    index: Option<u32>,
}

/// The Pod network of this node.
#[derive(Debug)]
pub(super) struct Network {
    lab: String,
    node_ips: Vec<IpAddr>,
    prefixes: Vec<Subnet>,
    indices: Mutex<Indices>,
}

impl Network {
    pub(super) fn new(node: &NodeConfig) -> anyhow::Result<Self> {
        let mut prefixes: Vec<Subnet> =
            node.pod_cidrs.iter().map(|cidr| cidr.parse()).collect::<Result<_, _>>().context("podCIDRs")?;
        // A Pod's first address is of the family the node prefers.
        let preferred = node.internal_ips.first().is_none_or(IpAddr::is_ipv4);
        prefixes.sort_by_key(|prefix| prefix.address().is_ipv4() != preferred);
        let host_bits = prefixes.iter().map(|prefix| prefix.host_bits()).min().unwrap_or_default();
        // The last address of an IPv4 prefix is its broadcast address.
        let last = 1_u32.checked_shl(host_bits.into()).map_or(INDEX_MAX, |size| size.saturating_sub(2));
        Ok(Self {
            lab: node.lab.clone(),
            node_ips: node.internal_ips.clone(),
            prefixes,
            indices: Mutex::new(Indices::new(last.min(INDEX_MAX))),
        })
    }

    /// Creates the bridge, unless the namespace still has it, and lets the node forward.
    pub(super) fn prepare(&self) -> anyhow::Result<()> {
        if !has_link(BRIDGE)? {
            run("ip", &["link", "add", "name", BRIDGE, "type", "bridge", "forward_delay", "0"], "")?;
        }
        let sysctls = [
            ("ipv4/ip_forward", "1"),
            ("ipv6/conf/all/forwarding", "1"),
            // Pods of one node talk through the bridge's address on purpose.
            ("ipv4/conf/all/send_redirects", "0"),
            ("ipv4/conf/cni0/send_redirects", "0"),
        ];
        for (key, value) in sysctls {
            let path = Path::new("/proc/sys/net").join(key);
            if path.exists() {
                std::fs::write(&path, value).with_context(|| format!("set {}", path.display()))?;
            }
        }
        let mut batch = format!("link set dev {BRIDGE} up\n");
        for prefix in &self.prefixes {
            let gateway = prefix.nth(GATEWAY_INDEX.into()).context("podCIDRs: no address for the bridge")?;
            let flags = if gateway.is_ipv6() { " nodad" } else { "" };
            line(
                &mut batch,
                format_args!("address replace {gateway}/{} dev {BRIDGE}{flags}", prefix.length()),
            );
        }
        run("ip", &["-batch", "-"], &batch).map(drop)
    }

    /// The place of a Pod on the host network.
    pub(super) fn host(&self) -> PodNetwork {
        PodNetwork { netns: None, ips: self.node_ips.clone(), index: None }
    }

    /// Makes a namespace with addresses for a Pod and notes its name in the Pod's directory.
    ///
    /// Blocks for some milliseconds.
    pub(super) fn attach(&self, uid: &str, pod_dir: &Path) -> anyhow::Result<PodNetwork> {
        let short = short_uid(uid);
        let netns = format!("{}-p-{short}", self.lab);
        let index = self.lock().allocate().context("no free Pod address on this node; delete some Pods")?;
        let attached = self.connect(&netns, short, index).and_then(|ips| {
            std::fs::write(pod_dir.join(NETNS_FILE), &netns).context("note the Pod's namespace")?;
            Ok(PodNetwork { netns: Some(netns.clone()), ips, index: Some(index) })
        });
        if attached.is_err() {
            self.disconnect(&netns, short);
            self.lock().release(index);
        }
        attached
    }

    /// Removes a Pod's namespace and frees its addresses.
    pub(super) fn detach(&self, uid: &str, pod: &PodNetwork) {
        if let Some(netns) = &pod.netns {
            self.disconnect(netns, short_uid(uid));
        }
        if let Some(index) = pod.index {
            self.lock().release(index);
        }
    }

    fn connect(&self, netns: &str, short: &str, index: u32) -> anyhow::Result<Vec<IpAddr>> {
        if netns::exists(netns) {
            netns::delete(netns)?;
        }
        netns::create(netns)?;
        netns::set_sysctls(netns, &pod_sysctls())?;
        let veth = veth(short);
        let node_side = format!(
            "link add name {veth} type veth peer name eth0 netns {netns}\nlink set dev {veth} master {BRIDGE} up\n"
        );
        run("ip", &["-batch", "-"], &node_side)?;
        let mut batch = "link set dev lo up\nlink set dev eth0 up\n".to_owned();
        let mut ips = Vec::new();
        for prefix in &self.prefixes {
            let address = |index: u32| prefix.nth(index.into()).context("podCIDRs: prefix too small");
            let (ip, gateway) = (address(index)?, address(GATEWAY_INDEX)?);
            let (length, flags) = if ip.is_ipv6() { (128, " nodad") } else { (32, "") };
            line(&mut batch, format_args!("address add {ip}/{length} dev eth0{flags}"));
            line(&mut batch, format_args!("route add {gateway} dev eth0 src {ip}"));
            line(&mut batch, format_args!("route add default via {gateway} dev eth0 src {ip}"));
            ips.push(ip);
        }
        run("ip", &["-n", netns, "-batch", "-"], &batch)?;
        Ok(ips)
    }

    fn disconnect(&self, netns: &str, short: &str) {
        // Deleted first: the namespace itself lives on while a socket in it lingers.
        if let Err(error) = run("ip", &["link", "del", "dev", &veth(short)], "") {
            tracing::debug!(lab = self.lab, error = format!("{error:#}"), "pod interface was gone already");
        }
        if let Err(error) = netns::delete(netns) {
            tracing::warn!(netns, error = format!("{error:#}"), "pod namespace not removed");
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Indices> {
        self.indices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes the namespaces of the Pods that ran here before this kubelet.
pub(super) fn forget_stale(pods_dir: &Path) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(pods_dir).context("list the Pods of an earlier run")?.flatten() {
        let file = entry.path().join(NETNS_FILE);
        let Ok(netns) = std::fs::read_to_string(&file) else { continue };
        if let Some((_, short)) = netns.rsplit_once("-p-") {
            // It ends with its namespace, later; the new Pod sandbox takes the name now.
            drop(run("ip", &["link", "del", "dev", &veth(short)], ""));
        }
        netns::delete(&netns)?;
        std::fs::remove_file(&file).with_context(|| format!("remove {}", file.display()))?;
    }
    Ok(())
}

/// Settings of a Pod's namespace, before its interface exists.
fn pod_sysctls() -> Vec<(String, &'static str)> {
    // As containerd: a Pod's ports need no privilege.
    let mut values = vec![("ipv4/ip_unprivileged_port_start".to_owned(), "0")];
    for scope in ["all", "default"] {
        values.push((format!("ipv4/conf/{scope}/rp_filter"), "0"));
        values.push((format!("ipv4/conf/{scope}/accept_redirects"), "0"));
        values.push((format!("ipv6/conf/{scope}/disable_ipv6"), "0"));
        values.push((format!("ipv6/conf/{scope}/accept_redirects"), "0"));
        values.push((format!("ipv6/conf/{scope}/accept_ra"), "0"));
        // Addresses are unique by construction: usable at once.
        values.push((format!("ipv6/conf/{scope}/accept_dad"), "0"));
    }
    values
}

/// Whether this namespace has the interface; `/sys` shows the machine's.
fn has_link(name: &str) -> anyhow::Result<bool> {
    let list = run("ip", &["-o", "link", "show"], "")?;
    Ok(list
        .lines()
        .any(|link| link.split(": ").nth(1).is_some_and(|found| found.split('@').next() == Some(name))))
}

/// Enough of a uid to be unique on a machine.
fn short_uid(uid: &str) -> &str {
    uid.get(..8).unwrap_or(uid)
}

fn veth(short: &str) -> String {
    format!("veth{short}")
}

fn line(batch: &mut String, command: std::fmt::Arguments<'_>) {
    writeln!(batch, "{command}").expect("writing to a string cannot fail");
}

/// Hands out positions in the prefixes; a freed one is taken again last, as with the host-local plugin.
#[derive(Debug)]
struct Indices {
    used: BTreeSet<u32>,
    last_given: u32,
    last: u32,
}

impl Indices {
    fn new(last: u32) -> Self {
        Self { used: BTreeSet::new(), last_given: GATEWAY_INDEX, last }
    }

    fn allocate(&mut self) -> anyhow::Result<u32> {
        let upper = self.last_given.saturating_add(1)..=self.last;
        let lower = GATEWAY_INDEX + 1..=self.last_given.min(self.last);
        let Some(index) = upper.chain(lower).find(|index| !self.used.contains(index)) else {
            bail!("all {} addresses are in use", self.used.len());
        };
        self.used.insert(index);
        self.last_given = index;
        Ok(index)
    }

    fn release(&mut self, index: u32) {
        self.used.remove(&index);
    }
}

#[cfg(test)]
mod tests {
    use super::Indices;

    #[test]
    fn addresses_start_at_two_and_a_freed_one_comes_back_last() {
        let mut indices = Indices::new(4);
        assert_eq!([(); 2].map(|()| indices.allocate().unwrap()), [2, 3]);
        indices.release(2);
        assert_eq!([(); 2].map(|()| indices.allocate().unwrap()), [4, 2]);
        assert!(indices.allocate().is_err());
        indices.release(3);
        assert_eq!(indices.allocate().unwrap(), 3);
    }
}
